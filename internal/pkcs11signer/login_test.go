//go:build linux && cgo

package pkcs11signer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// The PIN goes to the token once; the token's own flags tell.
func TestWrongPIN(t *testing.T) {
	const uri = "pkcs11:token=burnt"
	if low := burntFlags(t) & pkcs11.CKF_USER_PIN_COUNT_LOW; low != 0 {
		t.Fatal("the token counted a mistake before the test")
	}
	refuse(t, uri, Options{Module: burnt.Module, PIN: wrongPIN}, fault.Config, "pkcs11_pin_incorrect", "CKR_PIN_INCORRECT", "tried once", "user:password")
	if low := burntFlags(t) & pkcs11.CKF_USER_PIN_COUNT_LOW; low == 0 {
		t.Fatal("the token did not count the mistake")
	}
	var warnings []string
	warned := Options{Module: burnt.Module, PIN: labPIN, Warn: func(s string) { warnings = append(warnings, s) }}
	openWith(t, uri, warned).Close()
	if len(warnings) != 1 || !strings.Contains(warnings[0], "a wrong PIN was used") {
		t.Errorf("warnings %q", warnings)
	}
	refuse(t, uri, Options{Module: burnt.Module, PIN: wrongPIN}, fault.Config, "pkcs11_pin_incorrect")
	if low := burntFlags(t) & pkcs11.CKF_USER_PIN_COUNT_LOW; low != 0 {
		t.Error("the rejected PIN was presented to the token again")
	}
}

func burntFlags(t *testing.T) uint {
	t.Helper()
	f := &faulty{}
	s, err := f.module(t).selectToken(URI{Token: "burnt"})
	if err != nil {
		t.Fatal(err)
	}
	return s.token.Flags
}

func TestMissingPIN(t *testing.T) {
	opts := Options{Module: lab.Module, Getenv: func(string) string { return "" }}
	refuse(t, "pkcs11:token=lab;object=p256", opts, fault.Config, "pkcs11_pin_missing", "pkcs11:token=lab;serial=", "pkcs11-pin-file", EnvPIN)
	refuse(t, "pkcs11:token=lab;object=p256", Options{Module: lab.Module}, fault.Config, "pkcs11_pin_missing")
}

// Flags say what a PIN would do, so none is presented.
func TestFlagsBeforeLogin(t *testing.T) {
	for flags, want := range map[uint]string{pkcs11.CKF_USER_PIN_LOCKED: "has locked its PIN", pkcs11.CKF_USER_PIN_FINAL_TRY: "one more mistake"} {
		f := &faulty{set: flags}
		_, err := f.module(t).open(t.Context(), p256, labPIN, Options{})
		check(t, err, fault.Config, "pkcs11_pin_locked", want)
		if f.logins.Load() != 0 {
			t.Error("a PIN was presented")
		}
	}
	f := &faulty{clear: pkcs11.CKF_LOGIN_REQUIRED}
	_, err := f.module(t).open(t.Context(), p256, labPIN, Options{})
	check(t, err, fault.Config, "pkcs11_key_not_found", "no private key to this login")
	if f.logins.Load() != 0 {
		t.Error("a PIN was presented to a token that wants none")
	}
}

func TestProtectedPath(t *testing.T) {
	f := &faulty{set: pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH}
	f.onLogin = func(_ uint, pin string) error {
		if pin != "" {
			t.Error("a PIN was presented to the pad")
		}
		return pkcs11.Error(pkcs11.CKR_FUNCTION_CANCELED)
	}
	_, err := f.module(t).open(t.Context(), p256, "", Options{})
	check(t, err, fault.Undecided, "pkcs11_device", "C_Login returned CKR_FUNCTION_CANCELED")
}

func TestLoginAnswers(t *testing.T) {
	for rv, want := range map[uint]string{
		pkcs11.CKR_PIN_INVALID:              "pkcs11_pin_incorrect",
		pkcs11.CKR_PIN_LEN_RANGE:            "pkcs11_pin_incorrect",
		pkcs11.CKR_PIN_LOCKED:               "pkcs11_pin_locked",
		pkcs11.CKR_PIN_EXPIRED:              "pkcs11_pin_unusable",
		pkcs11.CKR_USER_PIN_NOT_INITIALIZED: "pkcs11_pin_unusable",
	} {
		f := &faulty{onLogin: func(uint, string) error { return pkcs11.Error(rv) }}
		m := f.module(t)
		for range 2 {
			_, err := m.open(t.Context(), p256, labPIN, Options{})
			check(t, err, fault.Config, want, "CKR_")
		}
		if got := f.logins.Load(); got != 1 {
			t.Errorf("%s: the PIN was presented %d times", want, got)
		}
	}
}

// Another user in this process has logged in between our look and our login.
func TestAlreadyLoggedIn(t *testing.T) {
	held := open(t, "pkcs11:token=lab;object=p384")
	f := &faulty{}
	f.open(t, p256)
	if f.logins.Load() != 0 {
		t.Error("a PIN was presented to a token that is logged in")
	}
	held.Close()

	f = &faulty{}
	var m *module
	f.onLogin = func(user uint, pin string) error {
		s, _ := f.cryptoki.OpenSession(slotOf(t, m), pkcs11.CKF_SERIAL_SESSION)
		return f.cryptoki.Login(s, user, pin) // and then the token says ALREADY_LOGGED_IN to ours
	}
	m = f.module(t)
	k, err := m.open(t.Context(), p256, labPIN, Options{})
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	_ = f.cryptoki.(*pkcs11.Ctx).CloseAllSessions(slotOf(t, m))
}

func slotOf(t *testing.T, m *module) uint {
	s, err := m.selectToken(p256)
	if err != nil {
		t.Fatal(err)
	}
	return s.id
}

// A key that wants the PIN each time gets it once each time, and a rejected one
// never again.
func TestAlwaysAuthenticate(t *testing.T) {
	f := &faulty{}
	k := f.open(t, URI{Token: "lab", Object: "always"})
	for range 3 {
		if err := sign(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.logins.Load(); got != 4 {
		t.Errorf("%d logins, want 4", got)
	}
	f.onLogin = func(uint, string) error { return pkcs11.Error(pkcs11.CKR_PIN_INCORRECT) }
	for range 3 {
		check(t, sign(t.Context(), k), fault.Config, "pkcs11_pin_incorrect")
	}
	if got := f.logins.Load(); got != 5 {
		t.Errorf("%d logins, want 5: the rejected PIN was presented again", got)
	}
}

func TestPINSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := func(name string) string { return map[string]string{EnvPIN: "env"}[name] }
	for _, c := range []struct {
		opts Options
		uri  URI
		want string
	}{
		{Options{PINFile: write("a", "file\n"), PIN: "input", Getenv: env}, URI{PINValue: "value"}, "file"},
		{Options{PIN: "input", Getenv: env}, URI{PINSource: write("b", "source")}, "input"},
		{Options{Getenv: env}, URI{PINSource: write("b", "source\r\n")}, "source"},
		{Options{Getenv: env}, URI{PINValue: "value"}, "value"},
		{Options{Getenv: env}, URI{}, "env"},
		{Options{}, URI{}, ""},
		{Options{PINFile: write("c", " two\n\n")}, URI{}, " two\n"},
	} {
		var warnings int
		c.opts.Warn = func(string) { warnings++ }
		got, err := c.opts.pin(c.uri)
		if err != nil || got != c.want || (warnings == 1) != (got == "value") {
			t.Errorf("pin = %q, %v with %d warnings; want %q", got, err, warnings, c.want)
		}
	}
	for _, path := range []string{wrongPIN, dir, write("d", "\n"), write("e", strings.Repeat("x", 5000)), dir + "/none"} {
		_, err := Options{PINFile: path}.pin(URI{})
		check(t, err, fault.Config, "pkcs11_pin_missing", "pkcs11-pin-file")
	}
}
