package envelope_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

func mldsaKeys(t testing.TB) (keys []*mldsa.PrivateKey) {
	for _, params := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.NewPrivateKey(params, bytes.Repeat([]byte{3}, mldsa.PrivateKeySize))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyOf(t testing.TB, pub crypto.PublicKey) envelope.Key {
	fingerprint, err := signer.Fingerprint(pub)
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Key{Name: "k", Public: pub, Fingerprint: fingerprint}
}

// sealed returns a bundle and a simple signing layer by key.
func sealed(t testing.TB, key *mldsa.PrivateKey) (statement, payload []byte, out []envelope.Candidate) {
	fingerprint := keyOf(t, key.Public()).Fingerprint
	sign := func(message []byte) []byte {
		sig, err := key.Sign(nil, message, nil)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	statement, err := attest.Signature(app, claims, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Seal(statement, sign(dsse.ToSign(statement)), envelope.SignaturePredicate, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	payload, err = simplesigning.Payload(app, "1.4", claims, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := simplesigning.Seal(payload, sign(payload), fingerprint)
	return statement, payload, []envelope.Candidate{
		{Format: b.Format, MediaType: b.MediaType, Blob: b.Blob},
		{Format: s.Format, MediaType: s.MediaType, Blob: s.Blob, Signature: s.Annotations[simplesigning.SignatureAnnotation]},
	}
}

func verify(c envelope.Candidate, keys ...envelope.Key) (envelope.Verified, error) {
	if c.Format == envelope.SimpleSigning {
		return simplesigning.Verify(c, keys)
	}
	v, _, err := bundle.Verify(c, keys)
	return v, err
}

// TestMLDSA: what is sealed is read back in both formats, with its own key,
// also when that is not the first, and with no other.
func TestMLDSA(t *testing.T) {
	keys := mldsaKeys(t)
	trusted := []envelope.Key{keyOf(t, p256(t).Public()), keyOf(t, keys[0].Public()), keyOf(t, keys[1].Public()), keyOf(t, keys[2].Public())}
	for i, key := range keys {
		_, _, candidates := sealed(t, key)
		others := slices.Delete(slices.Clone(trusted), i+1, i+2)
		for _, c := range candidates {
			v, err := verify(c, trusted...)
			if err != nil || v.Key.Fingerprint != trusted[i+1].Fingerprint || "ML-DSA-"+string(v.Algorithm[7:]) != signer.KeyType(key.Public()) {
				t.Errorf("%s %s: %+v, %v", signer.KeyType(key.Public()), c.Format, v.Key, err)
			}
			if _, err := verify(c, others...); fault.CodeOf(err) != "signature_invalid" {
				t.Errorf("%s %s with the other keys: %v", signer.KeyType(key.Public()), c.Format, err)
			}
		}
		if got := bundle.HintOf(candidates[0]); got != trusted[i+1].Fingerprint {
			t.Errorf("the bundle hints at %s", got)
		}
	}
}

// TestMLDSATampered: signatures that were cut, lengthened or changed, in the
// form in which a registry keeps them.
func TestMLDSATampered(t *testing.T) {
	for _, key := range mldsaKeys(t) {
		statement, payload, candidates := sealed(t, key)
		trusted := keyOf(t, key.Public())
		sig, err := base64.StdEncoding.DecodeString(candidates[1].Signature)
		if err != nil {
			t.Fatal(err)
		}
		flipped := slices.Clone(sig)
		flipped[len(flipped)/2] ^= 4
		for name, bad := range map[string][]byte{"truncated": sig[:len(sig)-1], "longer": append(slices.Clone(sig), 0), "changed": flipped, "one byte": {1}} {
			b, err := bundle.Seal(statement, bad, envelope.SignaturePredicate, trusted.Fingerprint)
			if err != nil {
				t.Fatal(err)
			}
			s := simplesigning.Seal(payload, bad, trusted.Fingerprint)
			for _, a := range []envelope.Attachment{b, s} {
				c := envelope.Candidate{Format: a.Format, MediaType: a.MediaType, Blob: a.Blob, Signature: a.Annotations[simplesigning.SignatureAnnotation]}
				if _, err := verify(c, trusted); fault.CodeOf(err) != "signature_invalid" {
					t.Errorf("%s, a %s signature %s: %v", signer.KeyType(key.Public()), a.Format, name, err)
				}
			}
		}
	}
}

// TestReaderWarning: who cannot read what, before it is signed.
func TestReaderWarning(t *testing.T) {
	for _, key := range mldsaKeys(t) {
		got := envelope.ReaderWarning(key.Public())
		for _, want := range []string{signer.KeyType(key.Public()), "cosign", "podman", "P-256"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not name %s", got, want)
			}
		}
	}
	if got := envelope.ReaderWarning(p256(t).Public()); got != "" {
		t.Errorf("P-256: %q", got)
	}
}

// TestAlgorithmNames: protobuf-specs knows the algorithms, as the pure variants
// that AlgorithmFor chooses.
func TestAlgorithmNames(t *testing.T) {
	for _, key := range mldsaKeys(t) {
		alg, err := signer.Usual(key.Public())
		name := strings.ToUpper(strings.ReplaceAll(string(alg), "-", "_"))
		if _, known := common.PublicKeyDetails_value[name]; err != nil || !known {
			t.Errorf("%s, %v: protobuf-specs has no %s", alg, err, name)
		}
	}
	if alg, err := signer.Usual(&mldsa.PublicKey{}); err == nil {
		t.Errorf("an empty key signs with %s", alg)
	}
}
