//go:build containers_image_openpgp

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exported is a policy of docs/recipes for this registry, as signgate exports
// it, with keys that were made for it.
func (r registry) exported(t *testing.T, recipe, host string, flags ...string) ([]byte, map[string]key) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/recipes", recipe, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy, keys := strings.ReplaceAll(string(text), host, r.host), map[string]key{}
	for _, m := range regexp.MustCompile(`keys/([a-z0-9-]+)\.pub`).FindAllStringSubmatch(policy, -1) {
		keys[m[1]] = newP256(t)
		policy = strings.ReplaceAll(policy, m[0], keys[m[1]].public)
	}
	args := append([]string{"policy", "export", "--to", "containers-policy", write(t, "policy.yaml", policy)}, flags...)
	return []byte(must(t, nil, programs.signgate, args...)), keys
}

// containers/image decides by the exported policy A as the gate does.
func TestExportedMinimal(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		policy, keys := reg.exported(t, "minimal", "ghcr.io/acme")
		other := newP256(t)
		img, children := reg.pushIndex(t, false, "1.4")
		img.tags = []string{"1.4"}
		refuses := func(why string) {
			t.Helper()
			if err := reg.pullBy(t, policy, false, img.tagged("1.4")); err == nil || !strings.Contains(err.Error(), "rejected") {
				t.Errorf("%s: not refused: %v", why, err)
			}
		}
		refuses("unsigned")
		reg.sign(t, img, both, other)
		refuses("signed by another key")
		reg.sign(t, img, both, keys["ci-2026"])
		for _, ref := range []string{img.tagged("1.4"), img.at(), children[1].at()} {
			if err := reg.pullBy(t, policy, false, ref); err != nil {
				t.Errorf("%s is not admitted: %v", ref, err)
			}
		}
	})
}

// Of policy B both groups are kept, and the revoked key is left out.
func TestExportedKMSAndHSM(t *testing.T) {
	t.Parallel()
	reg := startReferrers(t)
	policy, keys := reg.exported(t, "kms-and-hsm", "registry.acme.io", "--lossy")
	for _, tc := range []struct {
		why   string
		keys  []string
		admit bool
	}{
		{"unsigned", nil, false},
		{"no release key", []string{"kms-26"}, false},
		{"no build key", []string{"hsm-1", "hsm-2"}, false},
		{"a revoked build key", []string{"kms-25", "hsm-1"}, false},
		{"both groups", []string{"kms-26", "hsm-2"}, true},
		{"both groups and the revoked key", []string{"kms-25", "kms-26", "hsm-1"}, true},
	} {
		img := reg.pushTo(t, reg.host+"/prod/"+strings.TrimPrefix(reg.newRepository(), reg.host+"/"), "1.4")
		for _, k := range tc.keys {
			reg.sign(t, img, both, keys[k])
		}
		err := reg.pullBy(t, policy, false, img.tagged("1.4"))
		if tc.admit && err != nil || !tc.admit && (err == nil || !strings.Contains(err.Error(), "rejected")) {
			t.Errorf("%s: %v", tc.why, err)
		}
	}
}
