package hsm

import (
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// generate makes every type of key, under the policy that refuses what can
// leave the token, or leaves nothing behind.
func generate(t *testing.T, m *module) {
	for _, k := range keyTypes {
		t.Run(k.name, func(t *testing.T) {
			opts := m.options()
			opts.KeyPolicy = pkcs11signer.Require
			key, err := pkcs11signer.Generate(t.Context(), m.uri("made-"+k.name), k.spec, opts)
			switch {
			case m.reaches(k) == signs:
				generated(t, m, k, key, err)
			default:
				notGenerated(t, m, k, err)
			}
		})
	}
}

func generated(t *testing.T, m *module, k keyType, key *pkcs11signer.Key, err error) {
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	if got := signer.KeyType(key.Public()); got != k.name {
		t.Errorf("it is a %s key", got)
	}
	if got := key.Custody(); got != m.kept {
		t.Errorf("%+v, want %+v", got, m.kept)
	}
	opts := m.options()
	opts.KeyPolicy = pkcs11signer.Require
	again, message := open(t, m, key.URI(), opts), []byte("message")
	sig, err := again.Sign(t.Context(), k.algs[0], message)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, key.Public(), k.algs[0], message, sig.Bytes); err != nil {
		t.Error(err)
	}
	_, err = pkcs11signer.Generate(t.Context(), m.uri("made-"+k.name), k.spec, opts)
	if fault.CodeOf(err) != "pkcs11_key_exists" {
		t.Errorf("making it twice: %v, want pkcs11_key_exists", err)
	}
}

func notGenerated(t *testing.T, m *module, k keyType, err error) {
	if err == nil {
		t.Fatal("the module makes such a key now; say so in keyTypes")
	}
	want := "pkcs11_key_not_made"
	if m.reaches(k) == unread {
		want = "pkcs11_device"
	}
	if fault.CodeOf(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
	refuse(t, m, m.uri("made-"+k.name), m.options(), fault.Config, "pkcs11_key_not_found")
}
