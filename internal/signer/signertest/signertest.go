// Package signertest is the contract suite of signer.Key. Every backend passes
// it against the real thing, or against a fake that is tested itself.
package signertest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

var all = []signer.Algorithm{
	signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512, signer.RSAPKCS1SHA256, signer.RSAPSSSHA256, signer.Ed25519,
	signer.MLDSA44, signer.MLDSA65, signer.MLDSA87,
}

// Run checks that the keys that open returns keep the contract of signer.Key
// for each of algs, and refuse the algorithms that do not fit their type. The
// secrets are texts that must not show in any identity or error.
func Run(t *testing.T, open func(t *testing.T) signer.Key, algs []signer.Algorithm, secrets ...string) {
	key := open(t)
	t.Run("identity", func(t *testing.T) { identity(t, key, open(t), secrets) })
	t.Run("refuses", func(t *testing.T) { refuses(t, key, secrets) })
	for _, alg := range algs {
		t.Run(string(alg), func(t *testing.T) { signs(t, key, alg) })
	}
}

func identity(t *testing.T, key, again signer.Key, secrets []string) {
	if err := signer.CheckKey(key.Public()); err != nil {
		t.Errorf("Public: %v", err)
	}
	a, _ := signer.Fingerprint(key.Public())
	b, _ := signer.Fingerprint(again.Public())
	if key.ID() == "" || key.ID() != again.ID() || a != b {
		t.Errorf("opened twice: ID %q and %q, fingerprint %s and %s; want the same", key.ID(), again.ID(), a, b)
	}
	noSecret(t, key.ID(), secrets)
}

func refuses(t *testing.T, key signer.Key, secrets []string) {
	for _, alg := range append(all, "no-such-algorithm") {
		if alg.Fits(key.Public()) {
			continue
		}
		_, err := key.Sign(t.Context(), alg, []byte("message"))
		if fault.CodeOf(err) != "algorithm_unsupported" || fault.OutcomeOf(err) != fault.Config {
			t.Errorf("Sign(%s) = %v, want a configuration fault algorithm_unsupported", alg, err)
			continue
		}
		noSecret(t, err.Error(), secrets)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, alg := range all {
		if !alg.Fits(key.Public()) {
			continue
		}
		if _, err := key.Sign(ctx, alg, []byte("message")); err == nil {
			t.Errorf("Sign(%s) with a cancelled context succeeded", alg)
		}
	}
}

func signs(t *testing.T, key signer.Key, alg signer.Algorithm) {
	for _, size := range []int{0, 1, 32, 48, 64, 4000, 9000} {
		if alg == signer.Ed25519 && size > 4000 {
			continue // a backend may limit the messages that it hashes itself
		}
		message := bytes.Repeat([]byte("m"), size)
		if err := signOnce(t.Context(), key, alg, message); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	concurrently(t, key, alg)
}

func concurrently(t *testing.T, key signer.Key, alg signer.Algorithm) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if err := signOnce(t.Context(), key, alg, fmt.Appendf(nil, "message %d", i)); err != nil {
				t.Errorf("concurrent %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func signOnce(ctx context.Context, key signer.Key, alg signer.Algorithm, message []byte) error {
	sig, err := key.Sign(ctx, alg, message)
	if err != nil {
		return err
	}
	if sig.KeyID != key.ID() || sig.Algorithm != alg {
		return fmt.Errorf("signed by %q with %q, want %q with %q", sig.KeyID, sig.Algorithm, key.ID(), alg)
	}
	if err := alg.Verify(key.Public(), message, sig.Bytes); err != nil {
		return err
	}
	if err := alg.Verify(key.Public(), append(message, 'x'), sig.Bytes); err == nil {
		return fmt.Errorf("the signature verifies over another message")
	}
	return nil
}

func noSecret(t *testing.T, text string, secrets []string) {
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%q shows a secret", strings.ReplaceAll(text, s, "<secret>"))
		}
	}
}
