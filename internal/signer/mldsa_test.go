package signer_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/cloudflare/circl/pki"
	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/signgate/signgate/internal/signer"
)

// mldsaSet is a parameter set with an implementation that is not ours.
type mldsaSet struct {
	alg    signer.Algorithm
	params mldsa.Parameters
	circl  sign.Scheme
	typ    string
	sig    int // bytes of a signature, FIPS 204 table 2
}

func mldsaSets() []mldsaSet {
	return []mldsaSet{
		{signer.MLDSA44, mldsa.MLDSA44(), mldsa44.Scheme(), "ML-DSA-44", 2420},
		{signer.MLDSA65, mldsa.MLDSA65(), mldsa65.Scheme(), "ML-DSA-65", 3309},
		{signer.MLDSA87, mldsa.MLDSA87(), mldsa87.Scheme(), "ML-DSA-87", 4627},
	}
}

func allAlgorithms() []signer.Algorithm {
	return []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512, signer.RSAPKCS1SHA256, signer.Ed25519,
		signer.MLDSA44, signer.MLDSA65, signer.MLDSA87}
}

// key is the key of a seed, the same in every run.
func (set mldsaSet) key(t testing.TB, seed byte) *mldsa.PrivateKey {
	key, err := mldsa.NewPrivateKey(set.params, bytes.Repeat([]byte{seed}, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func messages() [][]byte {
	var out [][]byte
	for _, size := range []int{0, 1, 4096, 10_000} {
		out = append(out, bytes.Repeat([]byte("m"), size))
	}
	return out
}

// TestMLDSAWithCIRCL: what one signs, the other verifies, with the same key
// from the same seed.
func TestMLDSAWithCIRCL(t *testing.T) {
	for _, set := range mldsaSets() {
		key := set.key(t, 7)
		public, private := set.circl.DeriveKey(key.Bytes())
		if raw, _ := public.MarshalBinary(); !bytes.Equal(raw, key.PublicKey().Bytes()) {
			t.Fatalf("%s: the seed gives two public keys", set.typ)
		}
		for _, message := range messages() {
			sig, err := key.Sign(nil, message, nil)
			if err != nil || len(sig) != set.sig || !set.circl.Verify(public, message, sig, nil) {
				t.Errorf("%s, %d bytes: CIRCL refuses our %d bytes (%v)", set.typ, len(message), len(sig), err)
			}
			if err := set.alg.Verify(key.Public(), message, set.circl.Sign(private, message, nil)); err != nil {
				t.Errorf("%s, %d bytes: CIRCL's signature: %v", set.typ, len(message), err)
			}
			other := set.circl.Sign(private, message, &sign.SignatureOpts{Context: "x"})
			if set.alg.Verify(key.Public(), message, other) == nil {
				t.Errorf("%s: a signature for another context verifies", set.typ)
			}
		}
	}
}

// TestExternalMu: a signature over μ verifies over the message, here and
// elsewhere, as a key service makes it that never sees the message.
func TestExternalMu(t *testing.T) {
	for _, set := range mldsaSets() {
		key := set.key(t, 8)
		public, _ := set.circl.DeriveKey(key.Bytes())
		for _, message := range messages() {
			mu, err := signer.ExternalMu(key.Public(), message)
			if err != nil || len(mu) != 64 {
				t.Fatalf("%s: %x, %v", set.typ, mu, err)
			}
			sig, err := key.Sign(nil, mu, mldsacrypto.MLDSAMu)
			if err != nil {
				t.Fatal(err)
			}
			if err := set.alg.Verify(key.Public(), message, sig); err != nil || !set.circl.Verify(public, message, sig, nil) {
				t.Errorf("%s, %d bytes: signed by μ: %v", set.typ, len(message), err)
			}
		}
	}
	for _, pub := range []crypto.PublicKey{nil, ed25519.PublicKey(make([]byte, 32)), (*mldsa.PublicKey)(nil), &mldsa.PublicKey{}} {
		if mu, err := signer.ExternalMu(pub, nil); err == nil {
			t.Errorf("%T has μ %x", pub, mu)
		}
	}
}

// TestMLDSARefuses: of all that resembles a signature, one thing verifies.
func TestMLDSARefuses(t *testing.T) {
	message := []byte("message")
	for _, set := range mldsaSets() {
		key := set.key(t, 9)
		sig, err := key.Sign(nil, message, nil)
		if err != nil {
			t.Fatal(err)
		}
		bad := map[string][]byte{"nothing": nil, "one byte less": sig[:len(sig)-1], "half": sig[:len(sig)/2], "one byte more": append(slices.Clone(sig), 0),
			"zeros": make([]byte, len(sig))}
		for i := 0; i < len(sig); i += 97 {
			flipped := slices.Clone(sig)
			flipped[i] ^= 1
			bad[fmt.Sprintf("bit %d", 8*i)] = flipped
		}
		for name, s := range bad {
			if set.alg.Verify(key.Public(), message, s) == nil {
				t.Errorf("%s: %s verifies", set.typ, name)
			}
		}
		if set.alg.Verify(set.key(t, 10).Public(), message, sig) == nil || set.alg.Verify(key.Public(), []byte("massage"), sig) == nil {
			t.Errorf("%s: another key or message verifies", set.typ)
		}
		for _, alg := range allAlgorithms() {
			if err := alg.Verify(key.Public(), message, sig); (err == nil) != (alg == set.alg) {
				t.Errorf("%s checked as %s: %v", set.typ, alg, err)
			}
		}
		for _, other := range mldsaSets() {
			if other.alg != set.alg && other.alg.Verify(other.key(t, 9).Public(), message, sig) == nil {
				t.Errorf("%s verifies with a key of %s", set.typ, other.typ)
			}
		}
	}
}

func TestMLDSAKeyType(t *testing.T) {
	for _, set := range mldsaSets() {
		pub := set.key(t, 1).Public()
		if err := signer.CheckKey(pub); err != nil || signer.KeyType(pub) != set.typ || set.alg.Hash() != 0 || !bytes.Equal(set.alg.Digest([]byte("m")), []byte("m")) {
			t.Errorf("%s: %q, %v", set.typ, signer.KeyType(pub), err)
		}
	}
	for _, pub := range []crypto.PublicKey{(*mldsa.PublicKey)(nil), &mldsa.PublicKey{}} {
		_, err := signer.MarshalPublicKey(pub)
		if signer.CheckKey(pub) == nil || err == nil || signer.KeyType(pub) == "" {
			t.Errorf("an empty key: %q, %v", signer.KeyType(pub), err)
		}
		for _, alg := range append(allAlgorithms(), "") {
			if alg.Fits(pub) || alg.Verify(pub, nil, nil) == nil {
				t.Errorf("%q fits an empty key", alg)
			}
		}
	}
}

// TestMLDSAEncoding: the fingerprints are those of the public keys in RFC 9881
// appendix C.3, whose seed is 00 01 … 1f, and CIRCL writes and reads the same
// bytes.
func TestMLDSAEncoding(t *testing.T) {
	for i, want := range []string{
		"sha256:837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be",
		"sha256:b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d",
		"sha256:07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642",
	} {
		set := mldsaSets()[i]
		seed := make([]byte, mldsa.PrivateKeySize)
		for i := range seed {
			seed[i] = byte(i)
		}
		key, err := mldsa.NewPrivateKey(set.params, seed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := signer.Fingerprint(key.Public()); got != want {
			t.Errorf("%s: %s, %v; want %s", set.typ, got, err, want)
		}
		public, _ := set.circl.DeriveKey(seed)
		theirs, err := pki.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := signer.MarshalPublicKey(key.Public())
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%s: CIRCL's SPKI is another: %v", set.typ, err)
		}
		if back, err := signer.ParsePublicKey(theirs); err != nil || !key.PublicKey().Equal(back) {
			t.Errorf("%s: %v", set.typ, err)
		}
	}
}

// TestParsePublicKeyOfMLDSA: a key has one encoding, and no other is read.
func TestParsePublicKeyOfMLDSA(t *testing.T) {
	der, err := signer.MarshalPublicKey(mldsaSets()[0].key(t, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	raw := der[22:] // after SEQUENCE, AlgorithmIdentifier and the head of the BIT STRING
	spki := func(oid byte, parameters, key []byte, more ...byte) []byte {
		algo := append([]byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, oid}, parameters...)
		return tlv(0x30, tlv(0x30, algo), tlv(3, append([]byte{0}, key...)), more)
	}
	if !bytes.Equal(spki(17, nil, raw), der) {
		t.Fatal("the test builds another encoding")
	}
	unaligned := spki(17, nil, append(slices.Clone(raw), 0))
	unaligned[21] = 7 // unused bits, so that it has the right number of bytes when it is aligned
	for name, bad := range map[string][]byte{
		"parameters":     spki(17, []byte{5, 0}, raw),
		"another set":    spki(18, nil, raw),
		"HashML-DSA-44":  spki(32, nil, raw), // id-hash-ml-dsa-44-with-sha512
		"a byte less":    spki(17, nil, raw[1:]),
		"a byte more":    spki(17, nil, append(slices.Clone(raw), 0)),
		"no key":         spki(17, nil, nil),
		"unused bits":    unaligned,
		"more members":   spki(17, nil, raw, 5, 0),
		"trailing bytes": append(slices.Clone(der), 0),
		"truncated":      der[:len(der)-1],
		"nothing":        nil,
	} {
		if pub, err := signer.ParsePublicKey(bad); err == nil {
			t.Errorf("%s: read as %s", name, signer.KeyType(pub))
		}
	}
}

// tlv is a DER element.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	head := []byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}
	if len(body) < 128 {
		head = []byte{tag, byte(len(body))}
	}
	return append(head, body...)
}

// FuzzParsePublicKey: what is read is written again, with the same fingerprint.
func FuzzParsePublicKey(f *testing.F) {
	for _, set := range mldsaSets() {
		der, err := signer.MarshalPublicKey(set.key(f, 1).Public())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		f.Add(der[:60])
	}
	ed, _ := signer.MarshalPublicKey(ed25519.PublicKey(make([]byte, 32)))
	f.Add(ed)
	f.Fuzz(func(t *testing.T, der []byte) {
		pub, err := signer.ParsePublicKey(der)
		if err != nil || signer.CheckKey(pub) != nil {
			return
		}
		again, err := signer.MarshalPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		back, err := signer.ParsePublicKey(again)
		if err != nil || signer.KeyType(back) != signer.KeyType(pub) {
			t.Errorf("%v after another round", err)
		}
	})
}
