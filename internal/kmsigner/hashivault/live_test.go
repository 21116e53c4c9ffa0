//go:build live

package hashivault_test

import (
	"os"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

// TestLive runs the contract and doctor against a Vault or an OpenBao itself,
// with the login of the environment:
//
//	SIGNGATE_LIVE_VAULT_KEY=hashivault://test go test -tags live -run TestLive ./internal/kmsigner/hashivault
//
// It is not compiled without the tag, and with it a missing variable is a
// failure.
func TestLive(t *testing.T) {
	uri := os.Getenv("SIGNGATE_LIVE_VAULT_KEY")
	if uri == "" {
		t.Fatal("SIGNGATE_LIVE_VAULT_KEY does not name a key")
	}
	var secrets []string
	o := hashivault.Options{Retry: quick, Mask: func(more ...string) { secrets = append(secrets, more...) }}
	opener := func(t *testing.T) signer.Key {
		t.Helper()
		key, err := hashivault.Open(t.Context(), uri, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := key.Close(); err != nil {
				t.Error(err)
			}
		})
		return key
	}
	key := opener(t)
	for _, algs := range types {
		if slices.ContainsFunc(algs, func(alg signer.Algorithm) bool { return alg.Fits(key.Public()) }) {
			signertest.Run(t, opener, algs, secrets...)
			break
		}
	}
	for _, c := range hashivault.Examine(t.Context(), uri, o) {
		t.Logf("%-4s %s: %s; %s", c.Status, c.Name, c.Fact, c.Next)
		if c.Status == signer.Fail {
			t.Errorf("doctor: %s fails", c.Name)
		}
	}
}
