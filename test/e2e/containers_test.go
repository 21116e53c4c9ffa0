//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// services are the containers of a job's services:, in the job's network.
type services struct {
	network  string
	base     string // an image to run the binaries of the host in
	registry string // as seen from the host
	crane    string
	ca       string // what the certificate of the KMS is trusted by; in PEM
}

func newServices(t *testing.T) services {
	s := services{network: fmt.Sprintf("github_network_%d", os.Getpid()), base: baseImage(t), crane: peer(t, "crane")}
	run(t, "docker", "network", "create", "--label", "signgate-e2e", s.network)
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", s.network).Run() })

	config := filepath.Join(t.TempDir(), "registry.yml")
	write(t, config, fmt.Sprintf(registryConfig, ":5000"))
	s.service(t, "registry", "--volume", peer(t, "registry")+":/bin/registry:ro", "--volume", config+":/registry.yml:ro",
		"--env", "OTEL_TRACES_EXPORTER=none", "--publish", "127.0.0.1::5000", s.base, "/bin/registry", "serve", "/registry.yml")
	published := run(t, "docker", "port", s.name("registry"), "5000/tcp")
	s.registry = strings.Fields(published)[0]
	answers(t, "http://"+s.registry+"/v2/")

	fake := filepath.Join(t.TempDir(), "fakekms")
	build := command(t, 3*time.Minute, "go", "build", "-o", fake, "./internal/kmsigner/kmstest/cmd/fakekms")
	build.Dir, build.Env = checkout(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building fakekms: %v\n%s", err, out)
	}
	cert := t.TempDir()
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=kms", "-addext", "subjectAltName=DNS:kms", "-out", cert+"/kms.pem", "-keyout", cert+"/kms.key")
	s.ca = readFile(t, cert+"/kms.pem")
	s.service(t, "kms", "--volume", fake+":/bin/fakekms:ro", "--volume", cert+":/cert:ro", s.base, "/bin/fakekms",
		"--listen", ":8443", "--alias", "alias/release", "--cert", "/cert/kms.pem", "--cert-key", "/cert/kms.key")
	eventually(t, "fakekms has a key", func() bool {
		return strings.Contains(run(t, "docker", "logs", s.name("kms")), "KEY_ARN=")
	})
	return s
}

// baseImage is the runtime's base, whose default stands in the Dockerfile.
func baseImage(t *testing.T) string {
	m := regexp.MustCompile(`(?m)^ARG BASE_IMAGE=(\S+)`).FindStringSubmatch(readFile(t, filepath.Join(checkout(), "Dockerfile")))
	if m == nil {
		t.Fatal("the Dockerfile has no ARG BASE_IMAGE=")
	}
	return m[1]
}

func (s services) name(service string) string { return s.network + "_" + service }

func (s services) service(t *testing.T, alias string, args ...string) {
	t.Helper()
	run(t, "docker", append([]string{"run", "--detach", "--rm", "--label", "signgate-e2e", "--name", s.name(alias),
		"--network", s.network, "--network-alias", alias}, args...)...)
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "logs", s.name(alias)).CombinedOutput(); err == nil && t.Failed() {
			t.Logf("the log of %s:\n%s", alias, out)
		}
		_ = exec.Command("docker", "rm", "--force", s.name(alias)).Run()
	})
}

// push pushes an image with the content and returns its digest.
func (s services) push(t *testing.T, ref, content string) string {
	t.Helper()
	dir := t.TempDir()
	layer := filepath.Join(dir, "layer.tar")
	write(t, filepath.Join(dir, "app"), content)
	run(t, "tar", "-C", dir, "-cf", layer, "app")
	run(t, s.crane, "append", "--new_layer", layer, "--new_tag", s.registry+"/"+ref)
	return run(t, s.crane, "digest", s.registry+"/"+ref)
}

// kmsEnv leads the AWS SDK to the KMS service. The job has the service's CA
// in RUNNER_TEMP: credentials leave a machine encrypted only.
func (s services) kmsEnv(t *testing.T, r *runner) map[string]string {
	write(t, r.temp+"/kms.pem", s.ca)
	env := map[string]string{"AWS_ENDPOINT_URL_KMS": "https://kms:8443", "AWS_CA_BUNDLE": r.temp + "/kms.pem"}
	out, err := exec.Command("docker", "logs", s.name("kms")).Output()
	if err != nil {
		return env
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.HasPrefix(name, "AWS_") && name != "AWS_ENDPOINT_URL_KMS" && value != "" {
			env[name] = value
		}
	}
	return env
}

// kmsPublicKey asks the KMS by the command line in the image.
func (s services) kmsPublicKey(t *testing.T, r *runner) string {
	t.Helper()
	args := []string{"run", "--rm", "--label", "signgate-e2e", "--network", s.network, "--volume", r.temp + ":/github/runner_temp",
		"--entrypoint", "/usr/local/bin/signgate"}
	for name, value := range s.kmsEnv(t, r) {
		args = append(args, "--env", name+"="+r.inside(value))
	}
	return run(t, "docker", append(args, r.image, "key", "public", "--key", "awskms:///alias/release")...) + "\n"
}
