package hsm

import (
	"regexp"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

// contract holds each type of key to what keyTypes says.
func contract(t *testing.T, m *module) {
	for _, k := range keyTypes {
		t.Run(k.name, func(t *testing.T) {
			switch m.reaches(k) {
			case signs:
				signertest.Run(t, func(t *testing.T) signer.Key { return open(t, m, m.uri(k.name), m.options()) }, k.algs, m.pin)
			case unmade:
				notMade(t, m.made[k.name])
			case unread:
				refuse(t, m, m.uri(k.name), m.options(), fault.Undecided, "pkcs11_device")
			case unsigned:
				notSigned(t, open(t, m, m.uri(k.name), m.options()), k)
			}
		})
	}
}

// refusal is how pkcs11-tool tells that a module does not make such a key.
var refusal = regexp.MustCompile(`mechanism \w+ not supported|C_GenerateKeyPair.* rv = CKR_`)

func notMade(t *testing.T, err error) {
	if err == nil {
		t.Fatal("the module makes such a key now; say so in keyTypes")
	}
	if !refusal.MatchString(err.Error()) {
		t.Errorf("the key was not made for another reason than its type: %v", err)
	}
}

func notSigned(t *testing.T, key *pkcs11signer.Key, k keyType) {
	for _, alg := range k.algs {
		_, err := key.Sign(t.Context(), alg, []byte("message"))
		if fault.CodeOf(err) != "algorithm_unsupported" {
			t.Errorf("Sign(%s) = %v, want algorithm_unsupported; if it signs now, say so in keyTypes", alg, err)
		}
	}
}

// open opens a key and closes it with the test.
func open(t *testing.T, m *module, uri string, opts pkcs11signer.Options) *pkcs11signer.Key {
	t.Helper()
	k, err := pkcs11signer.Open(t.Context(), uri, opts)
	if err != nil {
		t.Fatalf("Open(%s): %v", uri, err)
	}
	t.Cleanup(func() { k.Close() })
	hidesPIN(t, m, k.ID())
	return k
}

// refuse checks that a key does not open, and returns what is said instead.
func refuse(t *testing.T, m *module, uri string, opts pkcs11signer.Options, outcome fault.Outcome, code string) string {
	t.Helper()
	k, err := pkcs11signer.Open(t.Context(), uri, opts)
	if err == nil {
		k.Close()
		t.Fatalf("Open(%s) succeeded, want %s", uri, code)
	}
	if fault.OutcomeOf(err) != outcome || fault.CodeOf(err) != code {
		t.Errorf("Open(%s) = %v %s (%v), want %v %s", uri, fault.OutcomeOf(err), fault.CodeOf(err), err, outcome, code)
	}
	hidesPIN(t, m, err.Error())
	return err.Error()
}
