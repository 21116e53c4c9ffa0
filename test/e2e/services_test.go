//go:build e2e

package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/signer"
)

// registryConfig is for the CNCF distribution, which has no referrers API.
const registryConfig = "version: 0.1\nlog: {level: error}\nstorage: {inmemory: {}}\nhttp: {addr: '%s'}\n"

// startRegistry starts a registry on loopback and returns its host:port. Jobs
// of act reach it there: act gives them the network of the host.
func startRegistry(t *testing.T) string {
	addr := freeAddress(t)
	config := filepath.Join(t.TempDir(), "registry.yml")
	write(t, config, fmt.Sprintf(registryConfig, addr))
	start(t, []string{"OTEL_TRACES_EXPORTER=none"}, peer(t, "registry"), "serve", config)
	answers(t, "http://"+addr+"/v2/")
	return addr
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a process that lives as long as the test.
func start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v\n%s", name, err, howTo)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() && len(text) > 0 {
			t.Logf("the log of %s:\n%s", filepath.Base(name), text)
		}
		log.Close()
	})
}

// answers waits until the URL answers.
func answers(t *testing.T, url string) {
	t.Helper()
	eventually(t, url+" answers", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s in vain until %s", what)
		}
	}
}

// kms is the fake KMS in this process, with one key under alias/release.
type kms struct {
	*kmstest.Server
	pem         string // the public key
	fingerprint string
}

func startKMS(t *testing.T) kms {
	server, err := kmstest.New(kmstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	arn, err := server.CreateKey(kmstest.P256)
	if err != nil {
		t.Fatal(err)
	}
	server.Alias("alias/release", arn)
	public := server.Public(arn)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := signer.Fingerprint(public)
	if err != nil {
		t.Fatal(err)
	}
	return kms{server, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), fingerprint}
}

// vault is the fake Vault in this process, with one key and a token for it.
type vault struct {
	*vaulttest.Server
	token, fingerprint string
}

func startVault(t *testing.T) vault {
	const token = "token-that-no-log-shows"
	server, err := vaulttest.New(vaulttest.Options{RootToken: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	at := vaulttest.KeyAt{Name: "release"}
	if err := server.CreateKey(at, vaulttest.P256); err != nil {
		t.Fatal(err)
	}
	fingerprint, err := signer.Fingerprint(server.Public(at, 1))
	if err != nil {
		t.Fatal(err)
	}
	return vault{server, token, fingerprint}
}
