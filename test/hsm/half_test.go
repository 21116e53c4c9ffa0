package hsm

import (
	"crypto"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// publicHalf opens keys whose public object was deleted.
func publicHalf(t *testing.T, m *module) {
	t.Run("certificate", func(t *testing.T) { found(t, m, certified, "the certificate with the same id") })
	if m.tells != "" {
		t.Run("private key", func(t *testing.T) { found(t, m, bare, m.tells) })
		return
	}
	t.Run("none", func(t *testing.T) {
		refuse(t, m, m.uri(bare), m.options(), fault.Config, "pkcs11_public_missing")
	})
	t.Run("given", func(t *testing.T) { proves(t, m, given(t, m, m.half[bare]), m.half[bare]) })
	t.Run("given wrong", func(t *testing.T) {
		opts := m.options()
		opts.PublicKeys = []crypto.PublicKey{m.half[certified]}
		refuse(t, m, m.uri(bare), opts, fault.Refused, "bad_signature")
	})
}

// found opens a key whose public half is in this place.
func found(t *testing.T, m *module, label, where string) {
	proves(t, m, open(t, m, m.uri(label), m.options()), m.half[label])
	checks := pkcs11signer.Examine(t.Context(), m.uri(label), m.options())
	if !slices.ContainsFunc(checks, func(c signer.Check) bool { return c.Name == "public half" && c.Fact == "from "+where }) {
		t.Errorf("the public half is not %s: %+v", where, checks)
	}
}

// given opens the bare key with a public half from outside.
func given(t *testing.T, m *module, pub crypto.PublicKey) *pkcs11signer.Key {
	opts := m.options()
	opts.PublicKeys = []crypto.PublicKey{pub}
	return open(t, m, m.uri(bare), opts)
}

// proves checks that key has this public half, and signs what it verifies.
func proves(t *testing.T, m *module, key *pkcs11signer.Key, pub crypto.PublicKey) {
	t.Helper()
	want, _ := signer.Fingerprint(pub)
	if got, _ := signer.Fingerprint(key.Public()); got != want {
		t.Errorf("the public half is %s, want %s", got, want)
	}
	alg, message := m.favourite().algs[0], []byte("message")
	sig, err := key.Sign(t.Context(), alg, message)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, pub, alg, message, sig.Bytes); err != nil {
		t.Error(err)
	}
}
