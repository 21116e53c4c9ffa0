package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/attest/contents/contentstest"
	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// layerOf returns a gzip layer with files of these names and texts.
func layerOf(t testing.TB, files ...string) contentstest.Layer {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		must(t, w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := io.WriteString(w, files[i+1])
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func keyOf(t testing.TB, path string) *ecdsa.PrivateKey {
	text, err := os.ReadFile(path)
	must(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	return key.(*ecdsa.PrivateKey)
}

// contentsSite is a registry with an image of two layers, and a folder that it
// was unpacked to.
type contentsSite struct {
	*registrytest.Server
	image.Subject
	key    *ecdsa.PrivateKey
	pub    string
	rootfs string
}

func newContentsSite(t testing.TB) contentsSite {
	private, public := keyPair(t)
	c := contentsSite{Server: registrytest.Start(t, registrytest.Referrers), key: keyOf(t, private), pub: public, rootfs: t.TempDir()}
	c.Subject = c.push(t, "app:1", layerOf(t, "etc/motd", "hello", "bin/app", "v1"), layerOf(t, "bin/app", "v2", "etc/.wh.x", ""))
	for path, text := range map[string]string{"etc/motd": "hello", "bin/app": "v2"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(c.rootfs, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(c.rootfs, path), []byte(text), 0o644))
	}
	return c
}

func (c contentsSite) push(t testing.TB, repoTag string, layers ...contentstest.Layer) image.Subject {
	img, err := contentstest.Image(layers...)
	must(t, err)
	s, err := contentstest.Push(c.Host+"/"+repoTag, img)
	must(t, err)
	return s
}

// attest signs what the image holds, changed by change.
func (c contentsSite) attest(t testing.TB, s image.Subject, files bool, change func(*contents.Contents)) {
	t.Helper()
	client := contentstest.Client()
	said, err := contentstest.Read(t.Context(), client, s, files)
	must(t, err)
	if change != nil {
		change(&said)
	}
	must(t, contentstest.Attest(t.Context(), client, s, said, c.key))
}

// check runs contents check and returns its exit code and output.
func (c contentsSite) check(t testing.TB, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"contents", "check", "--retries", "0", "--trusted-keys", c.pub}, args...)
	code := cli.Main(t.Context(), cli.Process{Args: args, Stdout: &out, Stderr: &out, Version: "test"})
	return code, out.String()
}

func (c contentsSite) want(t testing.TB, code int, text string, args ...string) {
	t.Helper()
	if got, out := c.check(t, args...); got != code || !strings.Contains(out, text) {
		t.Errorf("%q: exit code %d, want %d with %q:\n%s", args, got, code, text, out)
	}
}

// TestContentsCheck: the image and its files are what was attested, until one of
// them is not.
func TestContentsCheck(t *testing.T) {
	c := newContentsSite(t)
	ref, root := c.String(), c.rootfs
	c.want(t, 1, "attestation_missing", ref)
	c.attest(t, c.Subject, true, nil)
	c.want(t, 0, "2 layers and 2 files attested by", ref)
	c.want(t, 0, "4 compared", c.Host+"/app:1")
	c.want(t, 0, "2 compared", "--root", root, ref, root)
	c.want(t, 0, "1 compared", "--root", root, ref, root+"/etc/motd")
	c.want(t, 2, "contents_path_invalid", "--root", root, ref, "/etc")
	c.want(t, 2, "contents_path_invalid", "--root", root, ref, root+"/../x")
	c.want(t, 2, "contents_path_invalid", "--root", root+"/none", ref, root+"/none/x")
	c.want(t, 2, "platform_missing", "--platform", "linux/arm64", ref)

	must(t, os.WriteFile(root+"/etc/new", nil, 0o644))
	c.want(t, 1, "contents_added: /etc/new", "--root", root, ref, root)
	c.want(t, 0, "passed", "--root", root, ref, root+"/bin")
	must(t, os.WriteFile(root+"/bin/app", []byte("v1"), 0o644))
	c.want(t, 1, "contents_changed: /bin/app: its SHA-256", "--root", root, ref, root)
	must(t, os.Remove(root+"/etc/motd"))
	c.want(t, 1, "contents_missing: /etc/motd", "--root", root, ref, root+"/etc/motd")

	code, out := c.check(t, "-o", "json", "--root", root, ref, root)
	var views []struct {
		Outcome  string
		Findings []struct{ Outcome, Code, Path, Fact string }
	}
	must(t, json.Unmarshal([]byte(out), &views))
	if code != 1 || len(views) != 1 || views[0].Outcome != "refused" || len(views[0].Findings) != 3 || views[0].Findings[0].Path != "bin/app" {
		t.Errorf("%d %s", code, out)
	}
}

// TestContentsBytes: paths that are not UTF-8 are told apart, as in a list.
func TestContentsBytes(t *testing.T) {
	c := newContentsSite(t)
	c.attest(t, c.Subject, true, nil)
	for _, path := range []string{"/etc/\xfe", "/etc/\xff", "/etc/ü"} {
		must(t, os.WriteFile(c.rootfs+path, nil, 0o644))
	}
	_, out := c.check(t, "-o", "json", "--root", c.rootfs, c.String(), c.rootfs)
	for _, want := range []string{`"pathBytes": "ZXRjL/4="`, `"pathBytes": "ZXRjL/8="`, `"path": "etc/ü"`} {
		if strings.Count(out, want) != 1 || strings.Count(out, `"path`) != 3 {
			t.Errorf("lacks %s: %s", want, out)
		}
	}
}

// TestContentsLayers: an attestation of the layers alone.
func TestContentsLayers(t *testing.T) {
	c := newContentsSite(t)
	c.attest(t, c.Subject, false, nil)
	c.want(t, 0, "2 layers and 0 files", c.String())
	c.want(t, 1, "contents_files_missing", "--root", c.rootfs, c.String(), c.rootfs)
	c.attest(t, c.Subject, true, nil)
	c.want(t, 0, "2 compared", "--root", c.rootfs, c.String(), c.rootfs)
}

// TestContentsDiffer: what the registry has is not what was attested.
func TestContentsDiffer(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*contents.Contents)
		want   string
	}{
		"a removed layer": {func(s *contents.Contents) {
			s.Layers = append(s.Layers, s.Layers[0])
			s.Layers[2].DiffID = s.Layers[1].DiffID
		}, "contents_layer_missing"},
		"an added layer":  {func(s *contents.Contents) { s.Layers = s.Layers[:1] }, "contents_layer_added"},
		"a changed layer": {func(s *contents.Contents) { s.Layers[1].Size++ }, "contents_layer_changed"},
		"another order":   {func(s *contents.Contents) { s.Layers[0], s.Layers[1] = s.Layers[1], s.Layers[0] }, "contents_layer_changed"},
		"another root":    {func(s *contents.Contents) { s.Files.Root = strings.Repeat("0", 64) }, "contents_list_invalid"},
		"another tree":    {func(s *contents.Contents) { s.Files.Tree = "x" }, "contents_predicate_invalid"},
	} {
		c := newContentsSite(t)
		c.attest(t, c.Subject, true, tc.change)
		if code, out := c.check(t, c.String()); code != 1 || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %d, %s", name, code, out)
		}
	}
	c := newContentsSite(t)
	other := c.push(t, "other:1", layerOf(t, "etc/motd", "jello", "new", "", "bin/app", "v2"))
	said, err := contentstest.Read(t.Context(), contentstest.Client(), other, true)
	must(t, err)
	c.attest(t, c.Subject, true, func(s *contents.Contents) { s.Files, s.List = said.Files, said.List })
	c.want(t, 1, "contents_changed: /etc/motd", c.String())
	c.want(t, 1, "contents_missing: /new", c.String())
	c.attest(t, c.Subject, true, nil)
	c.want(t, 1, "contents_contradict", c.String())
}

// TestContentsBroken: what the registry lacks or has changed is found, and never
// taken for an image that is as attested.
func TestContentsBroken(t *testing.T) {
	c := newContentsSite(t)
	c.attest(t, c.Subject, true, nil)
	said, err := contentstest.Read(t.Context(), contentstest.Client(), c.Subject, true)
	must(t, err)
	for name, tc := range map[string]struct {
		blob   string
		answer func(w http.ResponseWriter)
		code   int
		want   string
		args   []string
	}{
		"a layer is gone":    {said.Layers[1].Digest, func(w http.ResponseWriter) { w.WriteHeader(404) }, 3, "blob_missing", nil},
		"a layer is changed": {said.Layers[1].Digest, func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, said.Layers[1].Size)) }, 1, "content_mismatch", nil},
		"a layer is cut":     {said.Layers[0].Digest, func(w http.ResponseWriter) { _, _ = w.Write([]byte{0x1f, 0x8b}) }, 3, "registry_unreachable", nil},
		"the list is gone":   {said.Files.List.Digest, func(w http.ResponseWriter) { w.WriteHeader(404) }, 3, "blob_missing", []string{c.rootfs}},
		"a list of another":  {said.Files.List.Digest, func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, len(said.List))) }, 1, "content_mismatch", []string{c.rootfs}},
	} {
		c.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			hit := strings.HasSuffix(r.URL.Path, "/blobs/"+tc.blob)
			if hit {
				tc.answer(w)
			}
			return hit
		})
		args := []string{c.String()}
		if tc.args != nil {
			args = append([]string{"--root", c.rootfs}, append(args, tc.args...)...)
		}
		if code, out := c.check(t, args...); code != tc.code || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %d, %s", name, code, out)
		}
	}
}

// TestContentsTrust: only the trusted keys count.
func TestContentsTrust(t *testing.T) {
	c := newContentsSite(t)
	c.attest(t, c.Subject, true, nil)
	_, c.pub = keyPair(t)
	c.want(t, 1, "attestation_missing", c.String())
	code := cli.Main(t.Context(), cli.Process{Args: []string{"contents", "check", c.String()}, Stdout: io.Discard, Stderr: io.Discard})
	if code != 2 {
		t.Errorf("without keys: %d", code)
	}
}

// TestContentsIndex: each platform of an index has contents of its own.
func TestContentsIndex(t *testing.T) {
	c := newContentsSite(t)
	var index v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := contentstest.Image(layerOf(t, "arch", arch))
		must(t, err)
		_, err = contentstest.Push(c.Host+"/multi:"+arch, img)
		must(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		body, err := img.RawManifest()
		must(t, err)
		c.attest(t, image.Subject{Repository: c.Host + "/multi", Digest: image.DigestOf(body), MediaType: image.OCIManifest, Size: int64(len(body))}, true, nil)
	}
	tag, err := name.NewTag(c.Host + "/multi:1")
	must(t, err)
	must(t, remote.WriteIndex(tag, index))
	root := t.TempDir()
	must(t, os.WriteFile(root+"/arch", []byte("arm64"), 0o644))
	c.want(t, 0, "linux/arm64: passed", c.Host+"/multi:1")
	c.want(t, 2, "platform_missing", "--root", root, c.Host+"/multi:1", root)
	c.want(t, 2, "linux/amd64, linux/arm64", "--platform", "linux/s390x", c.Host+"/multi:1")
	c.want(t, 0, "1 compared", "--root", root, "--platform", "linux/arm64", c.Host+"/multi:1", root)
	c.want(t, 1, "contents_changed", "--root", root, "--platform", "linux/amd64", c.Host+"/multi:1", root)
}
