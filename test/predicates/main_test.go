// Package predicates makes predicates of what real tools write here and now:
// Syft of an image in a registry of the test, clamscan with a signature of its own.
// A tool that is not there skips its test; make predicates sees to it that they are.
package predicates

import (
	"archive/tar"
	"bytes"
	"cmp"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// peer returns the path of a tool that test/setup/peers.sh builds.
func peer(t *testing.T, name string) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	userCache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache"))
	path, err := exec.LookPath(filepath.Join(cmp.Or(os.Getenv("SIGNGATE_CACHE"), filepath.Join(userCache, "signgate")), "peers", name))
	if err != nil {
		t.Fatalf("%v; run: test/setup/peers.sh %s", err, name)
	}
	return path
}

// run returns what a tool writes, and its exit code.
func run(t *testing.T, env []string, argv ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Logf("%s: %s", strings.Join(argv, " "), &errs)
	}
	return out.String() + errs.String(), cmd.ProcessState.ExitCode()
}

// rootfs are the files of the image.
var rootfs = map[string]string{
	"etc/os-release": "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
	"var/lib/dpkg/status": "Package: libssl3\nStatus: install ok installed\nMaintainer: Acme <acme@example.com>\n" +
		"Architecture: amd64\nVersion: 3.0.11-1~deb12u2\nDescription: a library\n",
}

// push pushes an image of rootfs to a registry of the test and returns its name
// with the digest.
func push(t *testing.T) (ref name.Digest) {
	t.Helper()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/acme/app")
	if err != nil {
		t.Fatal(err)
	}
	img := image(t)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(repository.Tag("1.4"), img); err != nil {
		t.Fatal(err)
	}
	return repository.Digest(digest.String())
}

func image(t *testing.T) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for path, text := range rootfs {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(b.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	return img
}
