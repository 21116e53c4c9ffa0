package storm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestPrivateCA: a registry with a certificate of a private CA is reached with
// registry-ca, given as a file or as text, and the message says so where it is
// missing or another.
func TestPrivateCA(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		server, ca := registrytest.StartTLS(t, mode)
		_, otherCA := registrytest.StartTLS(t, mode)
		x := &target{Server: server, repo: "app", store: "app", key: keyring(t, 1)[0]}
		x.digest = x.Push(t, "app:1.0")
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, without := range []ended{
			x.sign(t, both, "--retries", "0"), x.verify(t, both, "--retries", "0"),
			x.verify(t, both, "--retries", "0", "--registry-ca", otherCA),
		} {
			without.exits(t, "without its CA", 3).named(t, "without its CA")
			if !strings.Contains(without.stdout, "registry-ca") {
				t.Errorf("the message does not name registry-ca\n%s", without)
			}
		}
		x.sign(t, both, "--registry-ca", file).exits(t, "with a file", 0)
		x.verify(t, both, "--registry-ca", ca).exits(t, "with text", 0)
		x.verify(t, bundle, "--registry-ca", otherCA+ca).exits(t, "with two", 0)
		x.held(t).check(t, string(mode), x, bundle, simplesigning)
	}
}

// TestBadCA: what is no certificate is a mistake of configuration.
func TestBadCA(t *testing.T) {
	x := newTarget(t, registrytest.Referrers)
	for _, bad := range []string{filepath.Join(t.TempDir(), "missing.pem"), x.key.public, x.key.private, "junk"} {
		e := x.verify(t, both, "--registry-ca", bad).exits(t, bad, 2)
		if e.named(t, bad); strings.Contains(e.stdout+e.stderr, "BEGIN PRIVATE KEY") {
			t.Errorf("%s: the message holds what the file holds\n%s", bad, e)
		}
	}
}
