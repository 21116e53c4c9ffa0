//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// TestRunnerLine runs the image by the runner's own docker run line, in a job
// network with a registry and a KMS as services.
func TestRunnerLine(t *testing.T) {
	services := newServices(t)
	r := newRunner(t, actionImage(t), services.network)
	token := newToken(t, r)
	digest := services.push(t, "app:v1", "signed")
	image := map[string]string{"images": "registry:5000/app:v1", "digest": digest, "insecure-registries": "registry:5000"}
	hsm := with(image, map[string]string{"key": "pkcs11:token=lab;object=release", "pkcs11-pin": token.PIN, "output-dir": "out"})

	t.Run("p11-kit server in RUNNER_TEMP", func(t *testing.T) {
		start(t, []string{"SOFTHSM2_CONF=" + token.Conf}, "p11-kit", "server", "--foreground",
			"--provider", token.Module, "--name", r.temp+"/p11.sock", "pkcs11:token=lab")
		eventually(t, "p11-kit server listens", func() bool { _, err := os.Stat(r.temp + "/p11.sock"); return err == nil })
		out := r.run(t, step{"action.yml", with(hsm, map[string]string{"pkcs11-socket": r.temp + "/p11.sock", "pkcs11-key-policy": "require"}), nil})
		out.passed(t, digest)
		if !strings.HasPrefix(out.log, "::add-mask::") || strings.Count(out.log, token.PIN) != 1 {
			t.Errorf("the PIN is not masked first, or not only masked:\n%s", out.log)
		}
		r.ownsWorkspace(t)
	})

	t.Run("copied module in RUNNER_TEMP", func(t *testing.T) {
		copyModule(t, r)
		conf := strings.ReplaceAll(readFile(t, token.Conf), r.temp, "/github/runner_temp")
		write(t, r.temp+"/hsm/inside.conf", conf)
		out := r.run(t, step{"action.yml", with(hsm, map[string]string{"pkcs11-module": r.temp + "/hsm/libsofthsm2.so", "resign": "true"}),
			map[string]string{"SOFTHSM2_CONF": "/github/runner_temp/hsm/inside.conf"}})
		out.passed(t, digest)
	})

	t.Run("KMS", func(t *testing.T) {
		env := services.kmsEnv(t, r)
		pem := services.kmsPublicKey(t, r)
		write(t, r.work+"/keys/kms.pem", pem)
		out := r.run(t, step{"action.yml", with(image, map[string]string{"key": "awskms:///alias/release", "trusted-keys": "keys/kms.pem"}), env})
		out.passed(t, digest)
		if strings.TrimSpace(out.outputs["public-key"]) != strings.TrimSpace(pem) {
			t.Errorf("the output public-key is %q, key public prints %q", out.outputs["public-key"], pem)
		}
	})

	t.Run("attest", func(t *testing.T) {
		env := services.kmsEnv(t, r)
		write(t, r.work+"/vex.json", `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`)
		attest := with(image, map[string]string{"key": "awskms:///alias/release", "trusted-keys": "keys/kms.pem", "predicate-type": "openvex", "predicate-path": "vex.json", "provenance": "true", "audit-log": "audit.jsonl"})
		env["GITHUB_WORKFLOW_REF"] = "acme/app/.github/workflows/release.yml@refs/heads/main"
		out := r.run(t, step{"attest/action.yml", attest, env})
		if out.code != 0 || out.outputs["attested"] != "true" || !strings.Contains(out.outputs["attestation-digests"], digest) {
			t.Errorf("exit code %d, outputs %v\n%s", out.code, out.outputs, out.log)
		}
		if lines := strings.Count(readFile(t, r.work+"/audit.jsonl"), "\n"); lines != 3 {
			t.Errorf("the audit log has %d lines, want two attestations and a verdict", lines)
		}
		out = r.run(t, step{"verify/action.yml", with(image, map[string]string{"trusted-keys": "keys/kms.pem", "attestation": "openvex\nslsaprovenance1"}), nil})
		out.passed(t, digest)
		out = r.run(t, step{"attest/action.yml", with(image, map[string]string{"key": "awskms:///alias/release"}), env})
		out.failed(t, 2, "attestation_nothing")
	})

	t.Run("gate", func(t *testing.T) {
		gate := with(image, map[string]string{"trusted-keys": "keys/kms.pem"})
		out := r.run(t, step{"verify/action.yml", gate, nil})
		out.passed(t, digest)

		unsigned := services.push(t, "app:unsigned", "unsigned")
		out = r.run(t, step{"verify/action.yml", with(gate, map[string]string{"images": "registry:5000/app:unsigned", "digest": unsigned}), nil})
		out.failed(t, 1, "REFUSED")

		out = r.run(t, step{"verify/action.yml", with(gate, map[string]string{"trusted-key": "keys/kms.pem"}), nil})
		out.failed(t, 2, "did you mean trusted-keys")

		out = r.run(t, step{"verify/action.yml", with(gate, map[string]string{"images": "nowhere:5000/app:v1", "insecure-registries": "nowhere:5000", "retries": "0"}), nil})
		out.failed(t, 3, "nowhere:5000")
	})
}

// with returns the inputs of both maps; the second wins.
func with(a, b map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{a, b} {
		for name, value := range m {
			all[name] = value
		}
	}
	return all
}

func (o outcome) passed(t *testing.T, digest string) {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("exit code %d:\n%s", o.code, o.log)
	}
	if o.outputs["digest"] != digest || o.outputs["verified"] != "true" || !json.Valid([]byte(o.outputs["results"])) {
		t.Errorf("the outputs are %q", o.outputs)
	}
	want(t, o.summary, "PASSED", digest)
}

// failed checks the exit code and that later steps cannot take the run for a
// passed one. A run that did not begin has no summary.
func (o outcome) failed(t *testing.T, code int, says string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d instead of %d:\n%s", o.code, code, o.log)
	}
	want(t, o.log, "::error", says)
	if o.outputs["verified"] != "false" {
		t.Errorf("the output verified is %q", o.outputs["verified"])
	}
	if code != 2 {
		want(t, o.summary, map[int]string{1: "REFUSED", 3: "UNDECIDED"}[code])
	}
}

// ownsWorkspace checks that the runner's user can delete all that the action
// left in the workspace, and that there is something.
func (r *runner) ownsWorkspace(t *testing.T) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(r.work, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != r.owner {
			t.Errorf("%s belongs to %d, the runner is %d", path, owner, r.owner)
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(files, filepath.Join(r.work, "out", "report.json")) {
		t.Errorf("there is no out/report.json in %q", files)
	}
}

// newToken makes a token with one key in RUNNER_TEMP.
func newToken(t *testing.T, r *runner) *softhsm.Token {
	dir := filepath.Join(r.temp, "hsm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	token, err := softhsm.NewToken(t.Context(), dir, "lab", "pin-that-no-log-shows")
	if err != nil {
		t.Fatalf("%v; %s", err, howTo)
	}
	if err := token.GenerateKey(t.Context(), "EC:prime256v1", "01", "release"); err != nil {
		t.Fatal(err)
	}
	return token
}

// copyModule copies the SoftHSM of the runner's image into RUNNER_TEMP, as a
// job does with a vendor's module. This machine's own may need a newer glibc
// than the action's image has.
func copyModule(t *testing.T, r *runner) {
	t.Helper()
	id := run(t, "docker", "create", "signgate-test/runner:1", "true")
	defer func() { run(t, "docker", "rm", id) }()
	run(t, "docker", "cp", "--follow-link", id+":/usr/lib/softhsm/libsofthsm2.so", filepath.Join(r.temp, "hsm", "libsofthsm2.so"))
}

// actionImage is the image of this checkout: the one that act has built in this
// run, or else a build of ours. (act and the docker command describe folders
// differently to the engine, so neither finds the other's layers.)
func actionImage(t *testing.T) string {
	t.Helper()
	if exec.Command("docker", "image", "inspect", actImages[0]).Run() == nil {
		return actImages[0]
	}
	out, err := command(t, 6*time.Minute, "docker", "build", "--tag", ownImage, checkout()).CombinedOutput()
	if err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	return ownImage
}
