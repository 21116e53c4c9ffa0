package cli_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// keyPair writes a new P-256 key and returns the paths of its halves.
func keyPair(t testing.TB) (private, public string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key"), filepath.Join(dir, "key.pub")
	for path, block := range map[string]*pem.Block{private: {Type: "PRIVATE KEY", Bytes: der}, public: {Type: "PUBLIC KEY", Bytes: pub}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

// login is a Docker config with the credentials of a registry.
func login(s *registrytest.Server) string {
	auth := base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password))
	return `{"auths":{"` + s.Host + `":{"auth":"` + auth + `"}}}`
}

func signgate(t testing.TB, s *registrytest.Server, args ...string) {
	t.Helper()
	if code := exit(t, s, args...); code != 0 {
		t.Fatalf("%v: exit code %d", args, code)
	}
}

// exit runs the program and returns its exit code.
func exit(t testing.TB, s *registrytest.Server, args ...string) int {
	t.Helper()
	var out bytes.Buffer
	args = append(args, "--docker-config", login(s))
	code := cli.Main(t.Context(), cli.Process{Args: args, Stdout: &out, Stderr: &out, Version: "test"})
	if code != 0 {
		t.Log(out.String())
	}
	return code
}

// TestRequests: how many requests the common jobs take, behind bearer tokens
// and with the referrers API, in both formats, the gate included. More than
// that is a regression that users of slow registries feel.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name             string
		single           bool
		one, index, same int
	}{
		{"a blob in one POST", true, 13, 49, 8},
		{"a blob in two steps", false, 17, 65, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := registrytest.Start(t, registrytest.Token)
			s.SinglePost(tc.single)
			key, pub := keyPair(t)
			one := s.Host + "/one@" + s.Push(t, "one:1")
			index := s.Host + "/index@" + s.PushIndex(t, "index:1", "linux/amd64", "linux/arm64", "linux/arm", "linux/s390x")
			for _, step := range []struct {
				what string
				args []string
				want int
			}{
				{"sign one", []string{"sign", "--key", key, one}, tc.one},
				{"sign it again", []string{"sign", "--key", key, one}, tc.same},
				{"verify it", []string{"verify", "--trusted-keys", pub, one}, 5},
				{"sign an index of four", []string{"sign", "--key", key, index}, tc.index},
			} {
				s.Requests()
				signgate(t, s, step.args...)
				if got := s.Requests(); len(got) > step.want {
					t.Errorf("%s: %d requests, want %d:\n%s", step.what, len(got), step.want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// TestRequestsOfMany: with eleven bundles by eleven keys, the hint at the key
// spares the reading of ten.
func TestRequestsOfMany(t *testing.T) {
	s := registrytest.Start(t, registrytest.Token)
	ref := s.Host + "/app@" + s.Push(t, "app:1")
	var pubs []string
	for range 11 {
		key, pub := keyPair(t)
		pubs = append(pubs, pub)
		signgate(t, s, "sign", "--formats", "bundle", "--key", key, ref)
	}
	s.Requests()
	signgate(t, s, "verify", "--trusted-keys", pubs[3], ref)
	if got := s.Requests(); len(got) > 7 {
		t.Errorf("%d requests, want 7:\n%s", len(got), strings.Join(got, "\n"))
	}
}
