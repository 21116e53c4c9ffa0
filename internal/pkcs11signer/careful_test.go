//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// Where a URI leaves several tokens, nobody logs in: not with a PIN, not at the
// PIN pads.
func TestListLogsInToOneToken(t *testing.T) {
	m := faultModule(t)
	m.PINPad.Store(1)
	for _, uri := range []string{"pkcs11:", "pkcs11:token=twin"} {
		if _, err := List(t.Context(), uri, with(m)); err != nil {
			t.Error(err)
		}
	}
	Examine(t.Context(), "", with(m))
	if n := m.UserLogins.Load(); n != 0 {
		t.Errorf("%d logins", n)
	}
}

// The PIN does not go to a library that the URI excludes.
func TestListOfAnotherLibrary(t *testing.T) {
	m := faultModule(t)
	_, err := List(t.Context(), "pkcs11:token=lab;library-manufacturer=Other", with(m))
	check(t, err, fault.Config, "pkcs11_token_not_found", "library- attributes")
	if n := m.UserLogins.Load(); n != 0 {
		t.Errorf("%d logins", n)
	}
}

// A PIN may come through a pipe; one that nobody writes to ends with the time.
func TestPINThroughADeadPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pin")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{Module: lab.Module, PINFile: pipe}
	for name, f := range map[string]func(context.Context) error{
		"Open": func(ctx context.Context) error { _, err := Open(ctx, anyKey, opts); return err },
		"List": func(ctx context.Context) error { _, err := List(ctx, anyKey, opts); return err },
		"Generate": func(ctx context.Context) error {
			_, err := Generate(ctx, "pkcs11:token=mute;object=x", "p256", opts)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		check(t, f(ctx), fault.Undecided, "pkcs11_timeout", "reading the PIN")
		cancel()
		t.Log(name)
	}
}

// Tokens pad labels, so one that ends like padding is not told apart.
func TestGenerateRefusesPaddedLabels(t *testing.T) {
	for _, label := range []string{"new%20", "new%00", "%20"} {
		_, err := Generate(t.Context(), "pkcs11:token=mute;object="+label, "p256", Options{Module: lab.Module, PIN: labPIN})
		check(t, err, fault.Config, "pkcs11_uri_invalid", "padding")
	}
}

// What cannot be read of a public key is said in its line, and hides no other.
func TestListTellsWhatItCannotRead(t *testing.T) {
	m := faultModule(t)
	m.Withhold(pkcs11.CKO_PUBLIC_KEY, pkcs11.CKA_KEY_TYPE, pkcs11.CKR_FUNCTION_FAILED)
	entries, err := List(t.Context(), "pkcs11:token=burnt", Options{Module: m.Path})
	if err != nil || len(entries) != 1 || entries[0].Type != "" || !strings.Contains(entries[0].Problem, "pkcs11_device: it cannot be read: C_GetAttributeValue returned CKR_FUNCTION_FAILED") {
		t.Errorf("%+v, %v", entries, err)
	}
}
