package gate_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// TestAlwaysOne: however often one key has signed, and however often the policy
// has it, it counts as one of two.
func TestAlwaysOne(t *testing.T) {
	s := subject("1.4")
	a, b := newKey(t, "a"), newKey(t, "b")
	again := a
	again.Name = "the same again"
	p384 := keyOf(t, "p384", p384Key(t))
	one, two := rsaTwice(t)
	both := func(k signerKey) []envelope.Candidate {
		return []envelope.Candidate{k.bundle(t, s, k.claims(s), nil), k.simple(t, s, "1.4", k.claims(s))}
	}
	layer := a.simple(t, s, "1.4", a.claims(s))
	malleated := layer
	malleated.Signature = malleate(t, layer.Signature)
	for _, tc := range []struct {
		name   string
		policy policy.Rule
		from   []envelope.Candidate
	}{
		{"a layer many times", require(2, a, b), slices.Repeat([]envelope.Candidate{layer}, 5)},
		{"new signatures of one payload", require(2, a, b), []envelope.Candidate{layer, a.payload(t, layer.Blob), a.payload(t, layer.Blob)}},
		{"a malleated layer", require(2, a, b), []envelope.Candidate{layer, malleated}},
		{"a malleated bundle", require(2, a, b), []envelope.Candidate{both(a)[0], malleatedBundle(t, a)}},
		{"both formats", require(2, a, b), both(a)},
		{"two names", require(2, a, again, b), both(a)},
		{"two encodings", require(2, one, two, b), append(both(one), both(two)...)},
		{"two hashes", require(2, p384, b), []envelope.Candidate{both(p384)[0], withSHA256(t, p384)}},
	} {
		v := check(t, s, tc.policy, of(tc.from...))
		if v.Outcome() != fault.Refused || v.Findings[0].Code != "threshold" {
			t.Errorf("%s: %v, %+v", tc.name, v.Outcome(), v.Findings)
		}
		if v := check(t, s, tc.policy, of(append(tc.from, both(b)...)...)); v.Outcome() != fault.Passed {
			t.Errorf("%s, and the other key: %+v", tc.name, v.Findings)
		}
	}
}

func p384Key(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{3}, 48))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withSHA256 is a payload that a P-384 key has signed with SHA-256, as some
// writers do.
func withSHA256(t testing.TB, k signerKey) envelope.Candidate {
	s := subject("1.4")
	payload, err := simplesigning.Payload(s, "1.4", k.claims(s), nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(payload)
	sig, err := k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	a := simplesigning.Seal(payload, sig, k.Fingerprint)
	return envelope.Candidate{Format: envelope.SimpleSigning, MediaType: a.MediaType, Blob: a.Blob, Signature: a.Annotations[simplesigning.SignatureAnnotation]}
}

// rsaTwice reads one key from its two encodings.
func rsaTwice(t testing.TB) (one, two signerKey) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	read := func(kind string, der []byte) signerKey {
		keys, err := policy.ParseKeys(kind, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		if err != nil {
			t.Fatal(err)
		}
		return signerKey{keys[0], private}
	}
	return read("PUBLIC KEY", der), read("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey))
}

func malleatedBundle(t testing.TB, k signerKey) envelope.Candidate {
	c := k.bundle(t, subject("1.4"), k.claims(subject("1.4")), nil)
	before, rest, _ := bytes.Cut(c.Blob, []byte(`"sig":"`))
	sig, after, _ := bytes.Cut(rest, []byte(`"`))
	c.Blob = slices.Concat(before, []byte(`"sig":"`+malleate(t, string(sig))+`"`), after)
	if _, _, err := bundle.Verify(c, []envelope.Key{k.Key}); err != nil {
		t.Fatal("the malleated bundle does not verify: ", err)
	}
	return c
}

// TestEd25519IsNotMalleable: of an Ed25519 signature nobody can make a second one
// by adding the order of the group to its s (RFC 8032 section 5.1.7).
func TestEd25519IsNotMalleable(t *testing.T) {
	k := keyOf(t, "ed", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize)))
	s := subject("1.4")
	c := k.simple(t, s, "1.4", k.claims(s))
	sig, err := base64.StdEncoding.DecodeString(c.Signature)
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	little := slices.Clone(sig[32:])
	slices.Reverse(little)
	sum := new(big.Int).Add(new(big.Int).SetBytes(little), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	c.Signature = base64.StdEncoding.EncodeToString(append(sig[:32:32], sum...))
	if v := check(t, s, require(1, k), of(c)); v.Outcome() != fault.Refused || v.Findings[0].Code != "signature_invalid" {
		t.Errorf("%v, %+v", v.Outcome(), v.Findings)
	}
}

// TestSequence: the number of a tag is one that as many keys as are needed have
// signed. A single key cannot raise it, and with it as the floor the image passes
// again.
func TestSequence(t *testing.T) {
	a, b, c := newKey(t, "a"), newKey(t, "b"), newKey(t, "c")
	s := subject("1.4")
	with := func(k signerKey, sequence int64) envelope.Candidate {
		claims := k.claims(s)
		claims.Sequence = sequence
		return k.bundle(t, s, claims, nil)
	}
	for name, tc := range map[string]struct {
		rule policy.Rule
		from []envelope.Candidate
		want int64
	}{
		"one key":        {require(1, a), []envelope.Candidate{with(a, 7)}, 7},
		"two of two":     {require(2, a, b), []envelope.Candidate{with(a, 9000), with(b, 7)}, 7},
		"two of three":   {require(2, a, b, c), []envelope.Candidate{with(c, 9000), with(b, 7)}, 7},
		"two groups":     {policy.Rule{Require: append(require(1, a).Require, require(1, b).Require...)}, []envelope.Candidate{with(a, 9000), with(b, 7)}, 7},
		"one is missing": {require(2, a, b), []envelope.Candidate{with(a, 9000)}, 0},
	} {
		if got := check(t, s, tc.rule, of(tc.from...)).Sequence["1.4"]; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
