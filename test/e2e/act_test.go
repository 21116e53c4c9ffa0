//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestWorkflows runs the workflows of this folder by act, which builds the
// Dockerfile of the checkout for each "uses: ./".
func TestWorkflows(t *testing.T) {
	w := newWorkflows(t)

	// First and alone: it fills the engine's build cache for the others.
	if !t.Run("good", func(t *testing.T) {
		out, passed := w.act(t, "good")
		if !passed {
			t.Fatal("the workflow failed")
		}
		want(t, out, "DEPLOYED sha256:", "Job succeeded")
		if w.kms.Count("Sign") == 0 {
			t.Error("the KMS was never asked to sign")
		}
		if strings.Contains(out, w.pin) {
			t.Error("the PIN stands in the log")
		}
	}) {
		return // the others would fail for its reason
	}

	for _, test := range []struct {
		name    string
		reached string   // what the job has to have printed before it fails
		says    []string // how it fails
		unused  bool     // nothing may have been attached to the image
	}{
		{name: "unsigned", says: []string{"::unsigned: ", "it has no signature", "exit with `FAILURE`: 1"}, unused: true},
		{name: "wrong-key", reached: "SIGNED", says: []string{"::key_other: ", "none of them verifies with a trusted key", "exit with `FAILURE`: 1"}},
		{name: "moved-tag", reached: "BUILT", says: []string{"::tag_moved: ", "exit with `FAILURE`: 1"}, unused: true},
		{name: "misspelt-input", reached: "SIGNED", says: []string{"::input_unknown: ", `"treshold"; did you mean threshold?`, "exit with `FAILURE`: 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, passed := w.act(t, test.name)
			if passed || strings.Contains(out, "DEPLOYED") {
				t.Fatal("the workflow passed")
			}
			for _, text := range append(test.says, test.reached) {
				if !strings.Contains(out, text) {
					t.Errorf("the log of act lacks %q", text)
				}
			}
			if test.name == "moved-tag" {
				wantBothDigests(t, out)
			}
			if tags := run(t, w.crane, "ls", w.registry+"/"+test.name+"/app"); test.unused && tags != "v1" {
				t.Errorf("a run that was refused left tags: %s", tags)
			}
		})
	}
}

// TestSwitch moves from one key backend to another: the input key changes and
// nothing else does.
func TestSwitch(t *testing.T) {
	w := newWorkflows(t)
	vault := startVault(t)
	seen := map[string]bool{}
	for _, test := range []struct{ name, key, pin string }{
		{"file", ".hsm/release.pem", ""},
		{"AWS KMS", "awskms:///alias/release", w.kms.fingerprint},
		{"HSM", "pkcs11:token=lab;object=release", ""},
		{"Vault", "hashivault://release", vault.fingerprint},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, passed := w.act(t, "switch", "--var", "SIGN_KEY="+test.key, "--var", "SIGN_FINGERPRINT="+test.pin,
				"--var", "VAULT_ADDR="+vault.URL, "--secret", "VAULT_TOKEN="+vault.token)
			if !passed {
				t.Fatal("the workflow failed")
			}
			m := regexp.MustCompile(`DEPLOYED sha256:[0-9a-f]{64} SIGNED BY (sha256:[0-9a-f]{64})`).FindStringSubmatch(out)
			if m == nil || seen[m[1]] || test.pin != "" && m[1] != test.pin {
				t.Errorf("signed by %v, want another key than before, and the pinned one", m)
			} else {
				seen[m[1]] = true
			}
			if strings.Contains(out, w.pin) || strings.Contains(out, vault.token) {
				t.Error("a secret stands in the log")
			}
		})
	}
}

// TestLint checks the workflows by actionlint, which knows the inputs of
// action.yml and verify/action.yml.
func TestLint(t *testing.T) {
	files, err := filepath.Glob("workflows/*.yml")
	if err != nil || len(files) != 8 {
		t.Fatalf("the workflows are %q, %v", files, err)
	}
	for _, file := range files {
		// The entrypoint is a path of the image; actionlint looks for it in the repository.
		out, err := command(t, time.Minute, peer(t, "actionlint"), "-no-color", "-ignore", `specified at "entrypoint" key`, file).CombinedOutput()
		if filepath.Base(file) == "misspelt-input.yml" {
			want(t, string(out), `input "treshold" is not defined`)
		} else if err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// wantBothDigests checks that the refusal shows what was built and where the
// tag points now.
func wantBothDigests(t *testing.T, out string) {
	t.Helper()
	refusal := out[strings.LastIndex(out, "Run Main Sign"):]
	for _, what := range []string{"BUILT", "MOVED"} {
		m := regexp.MustCompile(what + ` (sha256:[0-9a-f]{64})`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("the job did not print what it %s", what)
		}
		if !strings.Contains(refusal, m[1]) {
			t.Errorf("the refusal does not show what was %s, %s", what, m[1])
		}
	}
}

// workflows is what the jobs meet.
type workflows struct {
	snapshot string // a copy of the checkout, so that all jobs build the same image
	registry string
	kms      kms
	pin      string
	tool     string // act itself
	crane    string
	syft     string
	runner   string // the image of the jobs
}

func newWorkflows(t *testing.T) workflows {
	w := workflows{
		snapshot: t.TempDir(),
		registry: strings.Replace(startRegistry(t), "127.0.0.1", "localhost", 1),
		kms:      startKMS(t),
		pin:      "pin-that-no-log-shows",
		tool:     peer(t, "act"),
		crane:    peer(t, "crane"),
		syft:     peer(t, "syft"),
		runner:   "signgate-test/runner:1",
	}
	if err := command(t, time.Minute, "docker", "image", "inspect", w.runner).Run(); err != nil {
		t.Fatalf("the engine has no image %s; %s", w.runner, howTo)
	}
	if err := os.CopyFS(w.snapshot, os.DirFS(checkout())); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.snapshot, ".git")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.snapshot, "keys/kms.pem"), w.kms.pem)
	return w
}

// act runs a workflow in a copy of the snapshot and returns its log, and
// whether it succeeded.
func (w workflows) act(t *testing.T, name string, more ...string) (log string, passed bool) {
	dir := filepath.Join(t.TempDir(), "signgate")
	if err := os.CopyFS(dir, os.DirFS(w.snapshot)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"remote", "add", "origin", "https://github.com/signgate/signgate"},
		{"-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "commit", "--quiet", "--allow-empty", "--message=e2e"},
	} {
		run(t, "git", append([]string{"-C", dir}, args...)...)
	}

	home := t.TempDir() // act keeps its settings and its cache below it
	env := w.kms.Env()
	args := append([]string{"push",
		"--workflows", filepath.Join("test/e2e/workflows", name+".yml"),
		"--platform", "ubuntu-latest=" + w.runner, "--pull=false", "--no-cache-server",
		"--container-options", "--volume=" + w.crane + ":/usr/local/bin/crane:ro --volume=" + w.syft + ":/usr/local/bin/syft:ro",
		"--var", "REGISTRY=" + w.registry, "--var", "KMS_URL=" + w.kms.URL, "--var", "KMS_FINGERPRINT=" + w.kms.fingerprint,
		"--secret", "HSM_PIN=" + w.pin,
		"--secret", "AWS_ACCESS_KEY_ID=" + env["AWS_ACCESS_KEY_ID"], "--secret", "AWS_SECRET_ACCESS_KEY=" + env["AWS_SECRET_ACCESS_KEY"]}, more...)
	cmd := command(t, 6*time.Minute, w.tool, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home+"/.cache", "XDG_CONFIG_HOME="+home+"/.config")
	out, err := cmd.CombinedOutput()
	t.Logf("the log of act:\n%s", out)
	return string(out), err == nil
}
