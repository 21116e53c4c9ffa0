package signer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// backend is a key whose answers a test can spoil.
type backend struct {
	key   *ecdsa.PrivateKey
	fail  []error                 // for the first calls
	spoil func(*signer.Signature) // changes the answer
	calls int
	hang  bool
}

func newBackend(t *testing.T) *backend {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &backend{key: key}
}

func (b *backend) ID() string               { return "test:key" }
func (b *backend) Public() crypto.PublicKey { return b.key.Public() }

func (b *backend) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	b.calls++
	if b.hang {
		<-ctx.Done()
		return signer.Signature{}, ctx.Err()
	}
	if b.calls <= len(b.fail) {
		return signer.Signature{}, b.fail[b.calls-1]
	}
	der, err := b.key.Sign(rand.Reader, alg.Digest(message), alg.Hash())
	sig := signer.Signature{Bytes: der, KeyID: b.ID(), Algorithm: alg}
	if b.spoil != nil {
		b.spoil(&sig)
	}
	return sig, err
}

func guard(t *testing.T, b *backend) *signer.Signer {
	s, err := signer.Guard(b, retry.Policy{Attempts: 3, Base: time.Millisecond, PerAttempt: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGuard: nothing that a backend answers gets past the guard unverified.
func TestGuard(t *testing.T) {
	transient := fault.Transientf("throttled", "", "slow down")
	denied := fault.Undecidedf("denied", "", "no")
	for name, tc := range map[string]struct {
		b     func(*backend)
		code  string // "" for success
		calls int
	}{
		"good":                {func(b *backend) {}, "", 1},
		"throttled twice":     {func(b *backend) { b.fail = []error{transient, transient} }, "", 3},
		"throttled for good":  {func(b *backend) { b.fail = []error{transient, transient, transient} }, "throttled", 3},
		"denied":              {func(b *backend) { b.fail = []error{denied} }, "denied", 1},
		"an error of no kind": {func(b *backend) { b.fail = []error{errors.New("boom")} }, "internal", 1},
		"hanging":             {func(b *backend) { b.hang = true }, "timeout", 3},
		"another key":         {func(b *backend) { b.spoil = func(s *signer.Signature) { s.KeyID = "test:other" } }, "key_mismatch", 1},
		"another algorithm":   {func(b *backend) { b.spoil = func(s *signer.Signature) { s.Algorithm = signer.ECDSASHA384 } }, "key_mismatch", 1},
		"a flipped bit":       {func(b *backend) { b.spoil = func(s *signer.Signature) { s.Bytes[9] ^= 1 } }, "bad_signature", 1},
		"no signature":        {func(b *backend) { b.spoil = func(s *signer.Signature) { s.Bytes = nil } }, "bad_signature", 1},
		"trailing data":       {func(b *backend) { b.spoil = func(s *signer.Signature) { s.Bytes = append(s.Bytes, 0) } }, "bad_signature", 1},
	} {
		b := newBackend(t)
		tc.b(b)
		_, err := guard(t, b).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
		if (err == nil) != (tc.code == "") || err != nil && fault.CodeOf(err) != tc.code || b.calls != tc.calls {
			t.Errorf("%s: %v after %d calls; want %q after %d", name, err, b.calls, tc.code, tc.calls)
		}
	}
}

func TestGuardRefusesKeyTypes(t *testing.T) {
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if _, err := signer.Guard(&backend{key: p224}, retry.Policy{}); fault.CodeOf(err) != "key_type_unsupported" {
		t.Errorf("P-224: %v", err)
	}
}

func TestCheckPins(t *testing.T) {
	a, b := guard(t, newBackend(t)), guard(t, newBackend(t))
	zero := "sha256:" + strings.Repeat("0", 64)
	for name, tc := range map[string]struct {
		keys []*signer.Signer
		pins []string
		code string
	}{
		"none":               {[]*signer.Signer{a}, nil, ""},
		"one":                {[]*signer.Signer{a}, []string{a.Fingerprint()}, ""},
		"any order":          {[]*signer.Signer{a, b}, []string{b.Fingerprint(), a.Fingerprint()}, ""},
		"another key":        {[]*signer.Signer{a}, []string{zero}, "key_mismatch"},
		"a pin too few":      {[]*signer.Signer{a, b}, []string{a.Fingerprint()}, "key_mismatch"},
		"a pin too many":     {[]*signer.Signer{a}, []string{a.Fingerprint(), b.Fingerprint()}, "key_mismatch"},
		"a pin for two keys": {[]*signer.Signer{a, b}, []string{a.Fingerprint(), a.Fingerprint()}, "key_mismatch"},
		"malformed":          {[]*signer.Signer{a}, []string{"sha256:XYZ"}, "pin_invalid"},
	} {
		err := signer.CheckPins(tc.keys, tc.pins)
		if (err == nil) != (tc.code == "") || err != nil && fault.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %q", name, err, tc.code)
		}
	}
}

// TestVerify: each algorithm accepts its own keys' signatures and no other.
func TestVerify(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	all := []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512, signer.RSAPKCS1SHA256, signer.Ed25519}
	for alg, key := range map[signer.Algorithm]crypto.Signer{signer.ECDSASHA384: ec, signer.RSAPKCS1SHA256: rs, signer.Ed25519: ed} {
		message := []byte("message")
		sig, err := key.Sign(rand.Reader, alg.Digest(message), alg.Hash())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if err := a.Verify(key.Public(), message, sig); (err == nil) != (a == alg) {
				t.Errorf("%s signature checked as %s: %v", alg, a, err)
			}
		}
		if alg.Verify(key.Public(), []byte("massage"), sig) == nil {
			t.Errorf("%s: another message verifies", alg)
		}
	}
}

func TestParseURI(t *testing.T) {
	for in, want := range map[string]signer.Backend{
		"awskms:///alias/x": signer.AWSKMS, "pkcs11:token=a;object=b": signer.PKCS11, "PKCS11:token=a": signer.PKCS11,
		"release.key": signer.File, "/run/release.key": signer.File, `C:\keys\release.key`: signer.File, "env://KEY": signer.File,
	} {
		if u, err := signer.ParseURI(in); err != nil || u.Backend != want {
			t.Errorf("ParseURI(%q) = %v, %v; want %s", in, u, err, want)
		}
	}
	for in, code := range map[string]string{"": "key_missing", " ": "key_missing", "vault://x": "key_uri_invalid", "https://x?pin-value=1234": "key_uri_invalid"} {
		_, err := signer.ParseURI(in)
		if fault.CodeOf(err) != code || strings.Contains(err.Error(), "1234") {
			t.Errorf("ParseURI(%q): %v, want %s", in, err, code)
		}
	}
}

func FuzzURIString(f *testing.F) {
	f.Add("pkcs11:token=a?pin-value=", "&module-path=/x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const pin = "5up3rs3cret"
		u := signer.URI{Raw: before + "?pin-value=" + pin + "&" + after}
		if strings.Contains(u.String(), pin) {
			t.Errorf("%q shows the PIN", u.String())
		}
	})
}
