// Package envelope is the vocabulary that the signature formats share.
//
// A format turns a subject and claims into bytes to sign (the payload), and a
// payload and its signature into something that a registry stores (the
// envelope). Reading goes the other way: a Candidate is what a registry
// returned and proves nothing; a Verified holds only what a trusted key has
// signed. The formats are in the packages below this one.
package envelope

import (
	"bytes"
	"crypto"
	stdjson "encoding/json" // which has Number
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/signer"
)

// Format is a signature format.
type Format string

// The formats of this build.
const (
	SimpleSigning Format = "simplesigning" // cosign's sha256-<hex>.sig tag
	Bundle        Format = "bundle"        // Sigstore bundle v0.3 as an OCI referrer
	DSSE          Format = "dsse"          // cosign's sha256-<hex>.att tag, for attestations only
)

// Formats returns the formats of signatures, in the order in which they are
// written.
func Formats() []Format { return []Format{SimpleSigning, Bundle} }

// Attesting returns the form that attestations have beside signatures of the
// format: those at cosign's tags belong together.
func (f Format) Attesting() Format {
	if f == SimpleSigning {
		return DSSE
	}
	return f
}

// SignaturePredicate is the predicate type of a signature in a bundle. An
// attestation has another one and is never taken for a signature.
const SignaturePredicate = "https://sigstore.dev/cosign/sign/v1"

// KeyHint is the annotation, on the manifest of a bundle and on the layer of a
// simple signing payload, that names the fingerprint of the signing key. Nobody
// signs it: it decides what is fetched and which key is tried first, and nothing
// else.
const KeyHint = "dev.signgate.key"

// Want says what a reader looks for, so that a source can fetch that first. It
// never decides what counts.
type Want struct {
	Keys    []string // fingerprints; entries that hint at one of them come first
	Formats []Format // stores of these come first; nil means all
	Each    int      // how many signatures of one key may be needed, 0 means 1

	// Predicates are the predicate types of the attestations that are wanted
	// beside signatures; nil for none.
	Predicates []string

	// Attestations asks for those of every type.
	Attestations bool

	// Unsigned leaves out signatures: nothing but attestations is wanted.
	Unsigned bool

	// Quick leaves out what matters only to a reader who is about to refuse:
	// entries that hint at another key, and the fallback tag where the registry
	// serves the referrers API. A signer who misses something signs again.
	Quick bool
}

// Attachment is an envelope on its way to a registry.
type Attachment struct {
	Format      Format
	MediaType   string            // of the blob
	Blob        []byte            // the payload, or the bundle with the payload inside
	Annotations map[string]string // of the layer (simplesigning) or the manifest (bundle)
}

// Candidate is an envelope as a registry returned it. Nothing in it is
// verified except that Blob has the digest that its manifest names.
type Candidate struct {
	Format    Format
	Store     string // where it was found: "referrers API", "fallback tag", "signature tag", "attestation tag"
	Manifest  string // the digest of the manifest that holds it
	MediaType string // of the blob
	Blob      []byte
	Digest    string // of Blob, where it was computed already
	Signature string // the signature annotation, base64 (simplesigning only)
	Hint      string // the fingerprint that KeyHint has, or ""; the key to try first
}

// Key is a public key that evidence is checked against.
type Key struct {
	Name        string // what the user calls it: a file name, or a key's identity
	Public      crypto.PublicKey
	Fingerprint string // see signer.Fingerprint
}

// Verified is what a signature says, after it has verified with Key over the
// exact bytes. Whether it says the right thing is for the gate to decide.
type Verified struct {
	Candidate
	Key           Key
	Algorithm     signer.Algorithm
	SubjectDigest string            // the digest that was signed; of an attestation the last of several
	Subjects      []string          // the digests of all subjects of a statement; nil in simplesigning
	Reference     string            // simplesigning's docker-reference; "" in a bundle
	PredicateType string            // the bundle's predicate type; "" in simplesigning
	Predicate     jsontext.Value    // of an attestation, as it was signed; nil in a signature
	Annotations   map[string]string // the signed annotations
	Claims        *Claims           // nil when the signer made none
}

// PredicateObject returns the predicate of an attestation with its numbers as they stand
// there, for conditions: a float64 would round the large ones. It is nil in a
// signature. A large predicate takes many times its size.
func (v Verified) PredicateObject() map[string]any {
	var out map[string]any
	dec := stdjson.NewDecoder(bytes.NewReader(v.Predicate))
	dec.UseNumber()
	if dec.Decode(&out) != nil {
		return nil // what was read as a statement has an object here, or nothing
	}
	return out
}

// ReaderWarning returns the stock readers that cannot verify signatures of
// pub's type, as a sentence, and "" for the types that all of them can.
func ReaderWarning(pub crypto.PublicKey) string {
	switch t := signer.KeyType(pub); t {
	case "P-384", "P-521":
		return fmt.Sprintf("cosign verifies %s signatures only with --signature-digest-algorithm, and containers/image (podman, CRI-O) not at all; P-256 is read everywhere", t)
	case "ML-DSA-44", "ML-DSA-65", "ML-DSA-87":
		return fmt.Sprintf("no stock reader verifies %s signatures, neither cosign nor containers/image (podman, CRI-O); give a P-256 key beside it, which all of them verify", t)
	}
	return ""
}

// HintFirst returns the keys, beginning with the one that the fingerprint is of.
// A signature verifies with one key in whatever order they are tried; with the
// right one first it takes one check.
func HintFirst(keys []Key, fingerprint string) []Key {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Fingerprint == fingerprint })
	if i <= 0 {
		return keys
	}
	return slices.Concat(keys[i:i+1], keys[:i], keys[i+1:])
}

// VerifyBytes checks sig over message with each key: with the algorithm of the
// key's type, then, for P-384 and P-521, with SHA-256, which some writers use
// (sigstore/cosign#5091). It returns the first key that verifies. When none
// does, the error is a refusal ("signature_invalid").
func VerifyBytes(keys []Key, message, sig []byte) (Key, signer.Algorithm, error) {
	for _, k := range keys {
		alg, err := signer.Usual(k.Public)
		if err != nil {
			continue // no key that signgate accepted gets here
		}
		for _, a := range slices.Compact([]signer.Algorithm{alg, signer.ECDSASHA256}) {
			if a.Verify(k.Public, message, sig) == nil {
				return k, a, nil
			}
		}
	}
	return Key{}, "", fault.Refusedf("signature_invalid", "", "made by another key, or changed since")
}

// MaxBlob is the largest envelope of a signature that is read, and
// MaxAttestation that of an attestation with the largest predicate, in bytes.
const (
	MaxBlob        = 4 << 20
	MaxAttestation = 24 << 20
)

// Decode parses the JSON in the blob of c, in which each name stands once. It
// refuses ("signature_malformed") what is larger than MaxAttestation, or has more
// values than an envelope needs.
func Decode(c Candidate, into any) error {
	if len(c.Blob) > MaxAttestation {
		return Malformed(c, "it has %d bytes, more than %d", len(c.Blob), MaxAttestation)
	}
	if image.Crowded(c.Blob) {
		return Malformed(c, "it has more values than are read")
	}
	if err := json.Unmarshal(c.Blob, into); err != nil {
		return Malformed(c, "%w", err)
	}
	return nil
}

// Malformed returns the refusal of a candidate that is not what its format
// asks for.
func Malformed(c Candidate, format string, args ...any) error {
	return fault.Refusedf("signature_malformed", "", "a %s signature in %s (%s) is malformed: %w", c.Format, c.Manifest, c.Store, fmt.Errorf(format, args...))
}
