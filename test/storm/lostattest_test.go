package storm

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestLostAttestations: eight processes attest one digest with eight keys, and
// all attestations survive in both forms, beside a signature by each.
func TestLostAttestations(t *testing.T) {
	t.Parallel()
	predicate := filepath.Join(t.TempDir(), "predicate.json")
	if err := os.WriteFile(predicate, []byte(`{"ok":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []crowd
	for trial := range trials(t) {
		for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Fallback} {
			for _, d := range []time.Duration{0, 20 * time.Millisecond} {
				all = append(all, crowd{mode: mode, store: "app", formats: []string{bundle, simplesigning}, delay: d, trial: trial})
			}
		}
	}
	each(t, 2, all, func(t *testing.T, c crowd) {
		x := c.target(t)
		c.attest(t, x, predicate)
		x.Delay(0)
		for format, keys := range x.attestedBy(t) {
			if len(keys) != keyCount {
				t.Errorf("%s: %d of %d attestations survived", format, len(keys), keyCount)
			}
		}
		c.check(t, x)
	})
}

// attest has every key sign and attest the image, all at the same time.
func (c crowd) attest(t *testing.T, x *target, predicate string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	var wg sync.WaitGroup
	for i := range keyCount {
		run := start(t, command(ctx, x.by(t, i).signArgs(c.flag(), "--predicate-type", "custom", "--predicate-path", predicate)...))
		wg.Go(func() { wait(t, run).exits(t, x.key.private, 0) })
	}
	wg.Wait()
}

// attestedBy returns the keys of the attestations that verify, by their format.
func (x *target) attestedBy(t *testing.T) map[string][]string {
	t.Helper()
	args := []string{"inspect", "--output", "json", x.image()}
	for _, k := range keyring(t, keyCount) {
		args = append(args, "--trusted-keys", k.public)
	}
	text, err := command(t.Context(), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var images []struct {
		Attestations []struct {
			Verified            bool
			Format, Fingerprint string
		}
	}
	if err := json.Unmarshal(text, &images); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{bundle: nil, "dsse": nil}
	for _, a := range images[0].Attestations {
		if a.Verified && !slices.Contains(out[a.Format], a.Fingerprint) {
			out[a.Format] = append(out[a.Format], a.Fingerprint)
		}
	}
	return out
}
