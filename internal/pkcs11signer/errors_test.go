//go:build linux && cgo

package pkcs11signer

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

// TestErrorTexts keeps the sentences that people act on, word by word.
func TestErrorTexts(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, "libabsent", "int absent(void) { return 0; }", "-Wl,-soname,libabsent.so.7")
	dependent := build(t, dir, "dependent", "int absent(void); int f(void) { return absent(); }", "-L"+dir, "-labsent")
	build(t, dir, "libmusl", "int puts(void);", "-nostdlib", "-Wl,-soname,libc.musl-x86_64.so.1")
	musl := build(t, dir, "musl", "int f(void) { return 0; }", "-nostdlib", "-Wl,--no-as-needed", "-L"+dir, "-lmusl")
	good := Options{Module: lab.Module, PIN: labPIN}
	var golden strings.Builder
	for _, c := range []struct {
		name, uri string
		opts      Options
	}{
		{"a library is missing", anyKey, Options{Module: dependent}},
		{"another C library", anyKey, Options{Module: musl}},
		{"no server at the socket", anyKey, Options{Socket: "/run/p11.sock"}},
		{"another token", "pkcs11:token=hsm1;object=p256", good},
		{"two tokens", "pkcs11:token=twin;object=key", good},
		{"another key", "pkcs11:token=twin;serial=0", good},
		{"no such key", "pkcs11:token=burnt;object=release", good},
		{"two keys", "pkcs11:token=lab;object=double", good},
		{"no key at all", "pkcs11:token=mute", good},
		{"a wrong PIN", "pkcs11:token=mistaken", Options{Module: lab.Module, PIN: wrongPIN}},
		{"no PIN", "pkcs11:token=mistaken", Options{Module: lab.Module}},
		{"no public half", "pkcs11:token=lab;object=nopublic", good},
		{"label= for object=", "pkcs11:token=lab;label=p256", good},
		{"a PIN in the path", "pkcs11:token=lab;pin-value=" + labPIN, good},
	} {
		_, err := Open(t.Context(), c.uri, c.opts)
		if err == nil || strings.Contains(err.Error(), labPIN) || strings.Contains(err.Error(), wrongPIN) {
			t.Fatalf("%s: %v", c.name, err)
		}
		golden.WriteString(c.name + "\n    " + fault.OutcomeOf(err).String() + " " + fault.CodeOf(err) + "\n    " + steady(err.Error(), dir) + "\n\n")
	}
	compareGolden(t, "errors.golden", golden.String())
}

var serial = regexp.MustCompile(`serial=[0-9a-f]{16}`)

// steady replaces what differs from run to run.
func steady(text, dir string) string {
	text = serial.ReplaceAllString(strings.ReplaceAll(text, dir, "DIR"), "serial=SERIAL")
	real, _ := filepath.EvalSymlinks(lab.Module)
	return strings.ReplaceAll(text, real, "/usr/lib/softhsm/libsofthsm2.so")
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s differs (go test -update writes it): %v\n%s", path, err, got)
	}
}
