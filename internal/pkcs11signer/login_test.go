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
	m, err := modules.load(t.Context(), start{path: resolved(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.selectToken(URI{Token: "burnt"})
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
		if err != nil || got != c.want || (warnings == 1) != (c.uri.PINValue != "" || got == "input") {
			t.Errorf("pin = %q, %v with %d warnings; want %q", got, err, warnings, c.want)
		}
	}
	for _, path := range []string{wrongPIN, dir, write("d", "\n"), write("e", strings.Repeat("x", 5000)), dir + "/none"} {
		_, err := Options{PINFile: path}.pin(URI{})
		check(t, err, fault.Config, "pkcs11_pin_missing", "pkcs11-pin-file")
	}
}
