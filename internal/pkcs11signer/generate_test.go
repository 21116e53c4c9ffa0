//go:build linux && cgo

package pkcs11signer

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

func TestGenerate(t *testing.T) {
	opts := Options{Module: lab.Module, PIN: labPIN, KeyPolicy: Require}
	for spec, want := range map[KeySpec]string{"p256": "P-256", "p384": "P-384", "p521": "P-521", "rsa2048": "RSA-2048", "ed25519": "Ed25519"} {
		t.Run(want, func(t *testing.T) {
			k, err := Generate(t.Context(), "pkcs11:token=lab;object=made-"+string(spec), spec, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if got := signer.KeyType(k.Public()); got != want {
				t.Errorf("made a %s key", got)
			}
			if c := k.Custody(); c.Extractable != signer.No || c.Sensitive != signer.Yes || c.Local != signer.Yes {
				t.Errorf("the key is kept so: %s", c)
			}
			again := openWith(t, k.URI(), opts)
			if again.ID() != k.ID() || !strings.Contains(k.ID(), "id=%") {
				t.Errorf("made %s, and its URI opens %s", k.ID(), again.ID())
			}
			_, err = Generate(t.Context(), "pkcs11:token=lab;object=made-"+string(spec), spec, opts)
			check(t, err, fault.Config, "pkcs11_key_exists", "made-"+string(spec))
		})
	}
}

// Nothing is made, and nothing is left behind.
func TestGenerateRefuses(t *testing.T) {
	opts := Options{Module: lab.Module, PIN: labPIN}
	before := count(t, opts)
	for uri, code := range map[string]string{
		"pkcs11:token=lab":                      "pkcs11_uri_invalid",
		"pkcs11:token=lab;object=p256":          "pkcs11_key_exists",
		"pkcs11:token=lab;object=new;id=%01":    "pkcs11_key_exists",
		"pkcs11:token=nothing;object=new":       "pkcs11_token_not_found",
		"pkcs11:token=twin;object=new":          "pkcs11_token_ambiguous",
		"pkcs11:token=lab;object=new;type=cert": "pkcs11_uri_invalid",
	} {
		_, err := Generate(t.Context(), uri, "p256", opts)
		check(t, err, fault.Config, code)
	}
	_, err := Generate(t.Context(), "pkcs11:token=lab;object=new", "p224", opts)
	check(t, err, fault.Config, "input_invalid", "p256, p384")
	_, err = Generate(t.Context(), "pkcs11:token=mute;object=new", "p256", Options{Module: lab.Module})
	check(t, err, fault.Config, "pkcs11_pin_missing")
	if after := count(t, opts); after != before {
		t.Errorf("the token had %d keys and has %d", before, after)
	}
}

func count(t *testing.T, opts Options) int {
	t.Helper()
	entries, err := List(t.Context(), "pkcs11:token=lab", opts)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestList(t *testing.T) {
	entries, err := List(t.Context(), "pkcs11:token=lab", Options{Module: lab.Module, PIN: labPIN})
	if err != nil {
		t.Fatal(err)
	}
	byLabel := map[string]Entry{}
	for _, e := range entries {
		u, err := ParseURI(e.URI)
		if err != nil {
			t.Fatalf("%s: %v", e.URI, err)
		}
		byLabel[u.Object] = e
	}
	for label, want := range map[string]Entry{
		"p256":     {Private: true, Type: "P-256", Source: "the public key object with the same id"},
		"rsa2048":  {Private: true, Type: "RSA-2048", Source: "the private key object"},
		"nopublic": {Private: true, Problem: "pkcs11_public_missing: "},
		"bitcoin":  {Private: true, Problem: "key_type_unsupported: "},
	} {
		e := byLabel[label]
		if e.Private != want.Private || e.Type != want.Type || e.Source != want.Source || (e.Problem == "") != (want.Problem == "") ||
			!strings.HasPrefix(e.Problem, want.Problem) || e.Custody.Extractable != signer.No {
			t.Errorf("%s is %+v, want %+v", label, e, want)
		}
	}
}

// Without a PIN, and with several tokens, nobody logs in.
func TestListWithoutLogin(t *testing.T) {
	m := faultModule(t)
	entries, err := List(t.Context(), "pkcs11:", with(m))
	if n := m.Calls[faultmodule.Login].Count.Load(); err != nil || n != 0 {
		t.Fatalf("%d logins, %v", n, err)
	}
	for _, e := range entries {
		if strings.Contains(e.URI, "token=burnt") && (e.Private || e.Type != "P-256" || !strings.Contains(e.Problem, "log in")) {
			t.Errorf("%+v", e)
		}
	}
	_, err = List(t.Context(), "pkcs11:token=nothing", Options{Module: lab.Module})
	check(t, err, fault.Config, "pkcs11_token_not_found", "token=lab")
}
