//go:build e2e

package e2e

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
	"github.com/signgate/signgate/internal/policy"
)

// releasePolicy asks for two keys that no job of the workflow has together.
const releasePolicy = `version: 1
keys:
  kms: {pem: kms.pem}
  hsm: {pem: hsm.pem}
rules:
  - match: ["%s/*/app"]
    require:
      - {name: build, keys: [kms], min: 1}
      - {name: release, keys: [hsm], min: 1}
    bind: {repository: signed, tag: signed}
`

// TestRelease runs a release: built and signed with the KMS key, approved with
// the HSM key, gated on both, its tag moved from the release before. Then with
// what must stop it.
func TestRelease(t *testing.T) {
	w := newWorkflows(t)
	pin := w.prepareRelease(t)

	t.Run("approved", func(t *testing.T) {
		image := w.registry + "/release/app"
		w.releaseBefore(t, "release/app")
		out, passed := w.act(t, "release", "--var", "POLICY_SHA256="+pin)
		if !passed {
			t.Fatal("the workflow failed")
		}
		built := builtDigest(t, out)
		want(t, out, image+":stable is "+built+" now", "DEPLOYED "+image+"@"+built)
		if stable := run(t, w.crane, "digest", image+":stable"); stable != built {
			t.Errorf("stable is %s, the release is %s", stable, built)
		}
		if strings.Contains(out, w.pin) {
			t.Error("the PIN stands in the log")
		}
	})

	// As somebody leaves out the approval who may change workflows.
	const workflow = "test/e2e/workflows/release.yml"
	unapproved := []change{
		{workflow, `(?s)\n  approve:.*\n  deploy:`, "\n  deploy:"},
		{workflow, `needs: \[build, approve\]`, "needs: build"},
	}
	for _, test := range []struct {
		name    string
		changes []change
		says    string // how it fails, and as nothing else does
	}{
		{"unapproved", unapproved, "refused key_other: release for the tag v1.2.3: "},
		{"policy-changed", append(unapproved, change{"keys/policy.yaml", `.*name: release.*\n`, ""}), "::trust_mismatch: the policy keys/policy.yaml has the hash "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// act names its containers by the workflow.
			changed := w.with(t, append(test.changes, change{workflow, `name: release\n`, "name: " + test.name + "\n"})...)
			image := w.registry + "/" + test.name + "/app"
			before := w.releaseBefore(t, test.name+"/app")
			out, passed := changed.act(t, "release", "--var", "POLICY_SHA256="+pin)
			if passed || strings.Contains(out, "DEPLOYED") {
				t.Fatal("the workflow passed")
			}
			builtDigest(t, out)
			want(t, out, test.says, "exit with `FAILURE`: 1")
			if stable := run(t, w.crane, "digest", image+":stable"); stable != before {
				t.Errorf("stable was %s and is %s", before, stable)
			}
		})
	}
}

// releaseBefore points stable to an image and returns its digest.
func (w workflows) releaseBefore(t *testing.T, repository string) string {
	return services{registry: w.registry, crane: w.crane}.push(t, repository+":stable", "the release before")
}

// prepareRelease puts the policy, its keys and the HSM into the snapshot, and
// returns the hash of the policy, as somebody who has reviewed it does.
func (w workflows) prepareRelease(t *testing.T) (pin string) {
	t.Helper()
	keys := filepath.Join(w.snapshot, "keys")
	write(t, filepath.Join(keys, "hsm.pem"), w.newHSM(t))
	text := fmt.Sprintf(releasePolicy, w.registry)
	write(t, filepath.Join(keys, "policy.yaml"), text)
	p, err := policy.Load(policy.Source{Name: "policy.yaml", Text: []byte(text), Now: time.Now(), Read: func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(keys, name))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p.SHA256
}

// newHSM makes a token with one key in the snapshot, and returns the public key
// in PEM.
func (w workflows) newHSM(t *testing.T) string {
	t.Helper()
	token, err := softhsm.NewToken(t.Context(), filepath.Join(w.snapshot, ".hsm"), "lab", w.pin)
	if err != nil {
		t.Fatalf("%v; %s", err, howTo)
	}
	if err := token.GenerateKey(t.Context(), "EC:prime256v1", "01", "release"); err != nil {
		t.Fatal(err)
	}
	der := filepath.Join(t.TempDir(), "hsm.der")
	if err := token.PKCS11Tool(t.Context(), "--read-object", "--type", "pubkey", "--id", "01", "--output-file", der); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(readFile(t, der))}))
}

// change is what somebody has changed in a file of the repository.
type change struct{ file, pattern, text string }

// with returns the workflows of a snapshot with changes.
func (w workflows) with(t *testing.T, changes ...change) workflows {
	t.Helper()
	before := w.snapshot
	w.snapshot = t.TempDir()
	if err := os.CopyFS(w.snapshot, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		path := filepath.Join(w.snapshot, c.file)
		old := readFile(t, path)
		text := regexp.MustCompile(c.pattern).ReplaceAllString(old, c.text)
		if text == old {
			t.Fatalf("%s has no %s", c.file, c.pattern)
		}
		write(t, path, text)
	}
	return w
}

// builtDigest returns what the build job says that it has pushed.
func builtDigest(t *testing.T, log string) string {
	t.Helper()
	m := regexp.MustCompile(`BUILT (sha256:[0-9a-f]{64})`).FindStringSubmatch(log)
	if m == nil {
		t.Fatal("the job did not print what it built")
	}
	return m[1]
}
