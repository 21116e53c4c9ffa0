//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// signAlone signs an image in a registry of the container itself, which has no
// network: all it has is the socket.
const signAlone = `set -eu
registry serve /registry.yml >/dev/null 2>&1 &
for _ in $(seq 100); do crane catalog 127.0.0.1:5000 >/dev/null 2>&1 && break; sleep 0.1; done
echo signed > app && tar -cf layer.tar app
crane append --new_layer layer.tar --new_tag 127.0.0.1:5000/app:v1 >/dev/null 2>&1
digest=$(crane digest 127.0.0.1:5000/app:v1)
export SIGNGATE_PKCS11_PIN=$PIN
signgate doctor --key 'pkcs11:token=lab;object=release' --pkcs11-socket /hsm/p11.sock
signgate sign --key 'pkcs11:token=lab;object=release' --pkcs11-socket /hsm/p11.sock --pkcs11-key-policy require --digest "$digest" 127.0.0.1:5000/app:v1
signgate key public --key 'pkcs11:token=lab;object=release' --pkcs11-socket /hsm/p11.sock > release.pub
signgate verify --trusted-keys release.pub "127.0.0.1:5000/app@$digest"
`

// TestSocketWithoutNetwork: the action's image without any network signs with
// the HSM of the host, through the socket of a p11-kit server.
func TestSocketWithoutNetwork(t *testing.T) {
	h := newHost(t)
	out, err := h.docker(t, "--network", "none", "--cap-drop", "ALL", "--env", "PIN="+h.pin,
		"--volume", peer(t, "registry")+":/usr/local/bin/registry:ro", "--volume", peer(t, "crane")+":/usr/local/bin/crane:ro",
		"--volume", h.registry(t)+":/registry.yml:ro", "--workdir", "/tmp", "--entrypoint", "sh", h.image, "-c", signAlone)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, out, "ok   socket: /hsm/p11.sock (exists, mode 0711, owner 0; running as 0)", "ok   trial signature", "made there yes",
		"PASSED: the signatures are in the registry", "PASSED: the required trusted keys have signed")
	if strings.Contains(out, h.pin) {
		t.Errorf("the PIN shows:\n%s", out)
	}
}

// TestSocketRefusals: what the client of p11-kit keeps to itself is said.
func TestSocketRefusals(t *testing.T) {
	h := newHost(t)
	doctor := []string{"--entrypoint", "signgate", h.image, "doctor", "--key", "pkcs11:token=lab", "--pkcs11-socket", "/hsm/p11.sock"}
	out, err := h.docker(t, append([]string{"--network", "none", "--user", "65532"}, doctor...)...)
	if err == nil {
		t.Error("another user came in")
	}
	want(t, out, "fail socket: pkcs11_socket_unreachable", "lets nobody in but its owner (exists, mode 0711, owner 0; running as 65532)", "chgrp and chmod g+w")

	out, err = h.docker(t, append([]string{"--network", "none", "--volume", t.TempDir() + ":/hsm"}, doctor...)...)
	if err == nil {
		t.Error("there was a socket")
	}
	want(t, out, "there is no p11-kit server at /hsm/p11.sock (does not exist, but /hsm does)")
}

// host is the machine of a runner with an HSM and a p11-kit server.
type host struct{ image, dir, pin string }

func newHost(t *testing.T) host {
	r := newRunner(t, actionImage(t), "none")
	token := newToken(t, r)
	dir, err := os.MkdirTemp("/tmp", "signgate-p11-") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, []string{"SOFTHSM2_CONF=" + token.Conf}, "p11-kit", "server", "--foreground", "--provider", token.Module, "--name", dir+"/p11.sock", "pkcs11:token=lab")
	eventually(t, "p11-kit server listens", func() bool { _, err := os.Stat(dir + "/p11.sock"); return err == nil })
	return host{r.image, dir, token.PIN}
}

// docker runs the image with the socket at /hsm; a later volume of that name
// takes its place.
func (h host) docker(t *testing.T, args ...string) (string, error) {
	t.Helper()
	first := []string{"run", "--rm", "--label", "signgate-e2e"}
	if !strings.Contains(strings.Join(args, " "), ":/hsm ") {
		first = append(first, "--volume", h.dir+":/hsm")
	}
	out, err := command(t, time.Minute, "docker", append(first, args...)...).CombinedOutput()
	return string(out), err
}

func (h host) registry(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "registry.yml")
	write(t, path, strings.Replace(registryConfig, "%s", "127.0.0.1:5000", 1))
	return path
}
