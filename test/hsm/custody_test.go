package hsm

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// custody compares what the module says about its keys with the table. The keys
// were made without a word about extraction: it is what the module does by
// itself.
func custody(t *testing.T, m *module) {
	for _, k := range m.signing() {
		key := open(t, m, m.uri(k.name), m.options())
		if got := key.Custody(); got != m.custody {
			t.Errorf("%s: %+v, want %+v", k.name, got, m.custody)
		}
	}
}

// policy opens a key under each policy.
func policy(t *testing.T, m *module) {
	name, extractable := m.favourite().name, m.custody.Extractable == signer.Yes
	opened := map[pkcs11signer.KeyPolicy]signer.Custody{pkcs11signer.Off: {}, pkcs11signer.Warn: m.custody, "": m.custody}
	if extractable {
		opts := m.options()
		opts.KeyPolicy = pkcs11signer.Require
		refuse(t, m, m.uri(name), opts, fault.Refused, "pkcs11_key_extractable")
	} else {
		opened[pkcs11signer.Require] = m.custody
	}
	for p, want := range opened {
		t.Run("policy "+string(p), func(t *testing.T) { underPolicy(t, m, p, want, extractable && p != pkcs11signer.Off) })
	}
}

func underPolicy(t *testing.T, m *module, p pkcs11signer.KeyPolicy, want signer.Custody, warns bool) {
	var warned []string
	opts := m.options()
	opts.KeyPolicy, opts.Warn = p, func(s string) { warned = append(warned, s) }
	key := open(t, m, m.uri(m.favourite().name), opts)
	if got := key.Custody(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	text := strings.Join(warned, "\n")
	if strings.Contains(text, "CKA_EXTRACTABLE") != warns {
		t.Errorf("warnings %q; about CKA_EXTRACTABLE: want %v", text, warns)
	}
	hidesPIN(t, m, text)
	if _, err := key.Sign(t.Context(), m.favourite().algs[0], []byte("message")); err != nil {
		t.Error(err)
	}
}

// TestMixed: of two keys of one token Require refuses the one that was made to
// be taken out.
func TestMixed(t *testing.T) {
	opts := softHSM.options()
	opts.KeyPolicy = pkcs11signer.Require
	open(t, softHSM, "pkcs11:token="+mixed+";object=key", opts)
	refuse(t, softHSM, "pkcs11:token="+mixed+";object=portable", opts, fault.Refused, "pkcs11_key_extractable")
}
