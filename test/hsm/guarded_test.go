package hsm

import (
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

// guardedKey signs with a key that wants the PIN for each signature.
func guardedKey(t *testing.T, m *module) {
	if m.guards == unmade {
		if m.made[guarded] == nil {
			t.Error("the module makes such a key now; say so in its guards")
		}
		return
	}
	key := open(t, m, m.uri(guarded), m.options())
	if got := key.Custody().AlwaysAuthenticate; got != signer.Yes {
		t.Errorf("alwaysAuthenticate is %q, want yes", got)
	}
	if m.guards == signs {
		signertest.Run(t, func(t *testing.T) signer.Key { return open(t, m, m.uri(guarded), m.options()) }, m.favourite().algs, m.pin)
		return
	}
	// The module keeps the attribute and does not know the login that it asks for.
	_, err := key.Sign(t.Context(), m.favourite().algs[0], []byte("message"))
	if fault.CodeOf(err) != "pkcs11_device" || fault.OutcomeOf(err) != fault.Undecided {
		t.Errorf("Sign = %v, want pkcs11_device; if it signs now, say so in the module's guards", err)
	}
}
