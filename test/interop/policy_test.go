//go:build containers_image_openpgp

package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

// containers/image admits what signgate has signed, by each of its tags and by
// digest, and nothing else.
func TestContainersPolicy(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k, other := newP256(t), newP256(t)
		tags := []string{"1", "1.4", "1.4.2"}
		img := reg.push(t, append(tags, "unsigned")...)
		index, children := reg.pushIndex(t, false, append(tags, "unsigned")...)
		img.tags, index.tags = tags, tags
		reg.sign(t, img, both, k)
		reg.sign(t, index, both, k)

		admits := func(public string, all bool, ref string) {
			t.Helper()
			if err := reg.pull(t, public, all, ref); err != nil {
				t.Errorf("%s is not admitted: %v", ref, err)
			}
		}
		refuses := func(public string, all bool, ref string) {
			t.Helper()
			if err := reg.pull(t, public, all, ref); err == nil || !strings.Contains(err.Error(), "rejected") {
				t.Errorf("%s is not refused by the policy: %v", ref, err)
			}
		}
		for _, i := range []image{img, index} {
			for _, ref := range append(i.taggedAll(), i.at()) {
				admits(k.public, false, ref)
				refuses(other.public, false, ref)
			}
			refuses(k.public, false, i.tagged("unsigned"))
		}
		for _, ref := range append(index.taggedAll(), index.at(), children[0].at(), children[1].at()) {
			admits(k.public, true, ref)
			refuses(other.public, true, ref)
		}
		refuses(k.public, true, index.tagged("unsigned"))
		refuses(k.public, false, reg.push(t, "other").tagged("other"))
	})
}

// RSA keys, and simple signing alone, serve containers/image as well.
func TestContainersPolicyWithRSA(t *testing.T) {
	t.Parallel()
	reg, k := startFallback(t), newRSA(t, 3072)
	img := reg.push(t, "1.0")
	reg.sign(t, img, simpleSigning, k)
	if err := reg.pull(t, k.public, false, img.tagged("1.0")); err != nil {
		t.Error(err)
	}
}

// pull copies an image into a directory if the policy of the registry's host,
// to be signed by the key, admits it: the image of linux/arm64 of an index, or
// all of them and the index.
func (r registry) pull(t *testing.T, public string, all bool, ref string) error {
	t.Helper()
	return r.pullBy(t, fmt.Appendf(nil, `{
		"default": [{"type": "reject"}],
		"transports": {"docker": {%q: [{"type": "sigstoreSigned", "keyPath": %q}]}}
	}`, r.host, public), all, ref)
}

// pullBy is pull by a policy.
func (r registry) pullBy(t *testing.T, text []byte, all bool, ref string) error {
	t.Helper()
	policy, err := signature.NewPolicyFromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	decide, err := signature.NewPolicyContext(policy)
	if err != nil {
		t.Fatal(err)
	}
	defer decide.Destroy()
	from, err := docker.ParseReference("//" + ref)
	if err != nil {
		t.Fatal(err)
	}
	to, err := directory.NewReference(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	options := &copy.Options{SourceCtx: r.system(t)}
	if all {
		options.ImageListSelection = copy.CopyAllImages
	}
	_, err = copy.Image(context.Background(), decide, to, from, options)
	return err
}

// system is the configuration of a machine that reads cosign's signatures.
func (r registry) system(t *testing.T) *types.SystemContext {
	registries := t.TempDir()
	if err := os.WriteFile(filepath.Join(registries, "default.yaml"), []byte("default-docker: {use-sigstore-attachments: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login, err := r.auth.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return &types.SystemContext{
		RegistriesDirPath:           registries,
		SystemRegistriesConfPath:    write(t, "registries.conf", ""),
		SystemRegistriesConfDirPath: t.TempDir(),
		BlobInfoCacheDir:            t.TempDir(),
		OSChoice:                    "linux",
		ArchitectureChoice:          "arm64",
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
		DockerAuthConfig:            &types.DockerAuthConfig{Username: login.Username, Password: login.Password},
	}
}
