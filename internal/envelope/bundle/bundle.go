// Package bundle is the Sigstore bundle, version 0.3, with a DSSE envelope: one
// JSON blob that holds an in-toto statement, its signature and a hint at the
// key. It is attached to its subject as an OCI referrer.
//
// The bundle is specified in
// https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md and
// https://github.com/sigstore/protobuf-specs; the envelope and the bytes that
// are signed (PAE) in https://github.com/secure-systems-lab/dsse. A bundle for
// an image has exactly one signature, without a key id.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	pb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbdsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/dsse"
)

// The names that the format fixes.
const (
	MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	ContentAnnotation       = "dev.sigstore.bundle.content"
	PredicateTypeAnnotation = "dev.sigstore.bundle.predicateType"
)

// Seal returns the referrer that carries the statement of the given predicate
// type and the signature sig over dsse.ToSign(statement) by the key with the
// fingerprint.
func Seal(statement, sig []byte, predicateType, fingerprint string) (envelope.Attachment, error) {
	b := &pb.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &pb.VerificationMaterial{
			Content: &pb.VerificationMaterial_PublicKey{PublicKey: &common.PublicKeyIdentifier{Hint: Hint(fingerprint)}},
		},
		Content: &pb.Bundle_DsseEnvelope{DsseEnvelope: &pbdsse.Envelope{
			Payload: statement, PayloadType: dsse.PayloadType, Signatures: []*pbdsse.Signature{{Sig: sig}},
		}},
	}
	blob, err := protojson.Marshal(b)
	if err != nil {
		return envelope.Attachment{}, err
	}
	var compact bytes.Buffer // protojson varies its spaces from build to build
	if err := json.Compact(&compact, blob); err != nil {
		return envelope.Attachment{}, err
	}
	return envelope.Attachment{
		Format: envelope.Bundle, MediaType: MediaType, Blob: compact.Bytes(),
		Annotations: map[string]string{ContentAnnotation: "dsse-envelope", PredicateTypeAnnotation: predicateType, envelope.KeyHint: fingerprint},
	}, nil
}

// Hint returns the key hint of a bundle: base64 of the SHA-256 of the public
// key's PKIX DER encoding. It is never a reason to trust anything.
func Hint(fingerprint string) string {
	sum, err := hex.DecodeString(strings.TrimPrefix(fingerprint, "sha256:"))
	if err != nil || len(sum) != sha256.Size {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// HintOf returns the fingerprint that the key hint of c stands for, and "" when
// it has none. It proves nothing.
func HintOf(c envelope.Candidate) string {
	var m material
	if envelope.Decode(c, &m) != nil {
		return ""
	}
	return m.hint()
}

// contents is the part of a bundle that is read. It is read without the
// generated types, which hold a large attestation several times over.
type contents struct {
	material
	MediaType string         `json:"mediaType"`
	DSSE      *dsse.Envelope `json:"dsseEnvelope"`
}

// material is the part that says which key to try first.
type material struct {
	VerificationMaterial struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
	} `json:"verificationMaterial"`
}

func (m *material) hint() string {
	sum, err := base64.StdEncoding.DecodeString(m.VerificationMaterial.PublicKey.Hint)
	if err != nil || len(sum) != sha256.Size {
		return ""
	}
	return "sha256:" + hex.EncodeToString(sum)
}

// Verify checks c with keys and returns what verified, and the statement that
// was signed. The errors are refusals: "signature_malformed" when c is no such
// bundle, "signature_invalid" when it verifies with no key.
func Verify(c envelope.Candidate, keys []envelope.Key) (envelope.Verified, []byte, error) {
	b, err := open(c)
	if err != nil {
		return envelope.Verified{}, nil, err
	}
	return b.DSSE.Verify(c, envelope.HintFirst(keys, b.hint()))
}

// open returns the bundle in c, unverified.
func open(c envelope.Candidate) (*contents, error) {
	b := new(contents)
	if err := envelope.Decode(c, b); err != nil {
		return nil, err
	}
	switch {
	case b.MediaType != MediaType:
		return nil, envelope.Malformed(c, "its media type is %q", b.MediaType)
	case b.DSSE == nil:
		return nil, envelope.Malformed(c, "it has no DSSE envelope")
	}
	return b, nil
}

// Unverified returns the statement in c without checking its signature, for
// showing what is attached to an image. It proves nothing.
func Unverified(c envelope.Candidate) ([]byte, error) {
	b, err := open(c)
	if err != nil {
		return nil, err
	}
	return b.DSSE.Payload.Bytes(), b.DSSE.Check(c)
}
