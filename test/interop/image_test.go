package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is an image or an index in a registry.
type image struct {
	repo, digest string
	tags         []string
}

func (i image) at() string               { return i.repo + "@" + i.digest }
func (i image) tagged(tag string) string { return i.repo + ":" + tag }

// taggedAll returns a reference for each tag.
func (i image) taggedAll() (out []string) {
	for _, tag := range i.tags {
		out = append(out, i.tagged(tag))
	}
	return out
}

// references returns what signgate is asked to sign: each tag with the digest.
func (i image) references() []string {
	if len(i.tags) == 0 {
		return []string{i.at()}
	}
	var out []string
	for _, tag := range i.tags {
		out = append(out, i.tagged(tag)+"@"+i.digest)
	}
	return out
}

// push pushes a random image to a repository of its own.
func (r registry) push(t *testing.T, tags ...string) image {
	t.Helper()
	return r.pushTo(t, r.newRepository(), tags...)
}

// pushTo pushes a random image to a repository.
func (r registry) pushTo(t *testing.T, repo string, tags ...string) image {
	t.Helper()
	img, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r.pushAs(t, repo, img, tags)
}

var repositories atomic.Int64

// newRepository returns the name of an empty repository.
func (r registry) newRepository() string {
	return fmt.Sprintf("%s/app-%d", r.host, repositories.Add(1))
}

// platforms are those of pushIndex, in its order.
var platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}}

// pushIndex pushes an index of random images to a repository of its own, one
// for each platform, and with an attestation manifest of BuildKit behind them when attested is set. It
// returns the index and its images.
func (r registry) pushIndex(t *testing.T, attested bool, tags ...string) (index image, children []image) {
	t.Helper()
	repo := r.newRepository()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	add := func(d v1.Descriptor) {
		img, err := random.Image(256, 1)
		if err != nil {
			t.Fatal(err)
		}
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
		children = append(children, r.pushAs(t, repo, img, nil))
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: d})
	}
	for _, p := range platforms {
		add(v1.Descriptor{Platform: &p})
	}
	if attested {
		add(v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": children[0].digest},
		})
	}
	return r.pushAs(t, repo, idx, tags), children
}

// pushAs pushes a manifest with what it names, by its digest and to tags.
func (r registry) pushAs(t *testing.T, repo string, m remote.Taggable, tags []string) image {
	t.Helper()
	digest, err := m.(interface{ Digest() (v1.Hash, error) }).Digest()
	if err != nil {
		t.Fatal(err)
	}
	img := image{repo: repo, digest: digest.String(), tags: tags}
	todo := map[name.Reference]remote.Taggable{parse(t, img.at()): m}
	for _, tag := range tags {
		todo[parse(t, img.tagged(tag))] = m
	}
	if err := remote.MultiWrite(todo, r.options()...); err != nil {
		t.Fatal(err)
	}
	return img
}

func (r registry) options() []remote.Option { return []remote.Option{remote.WithAuth(r.auth)} }

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// raw is a manifest that is pushed as it is.
type raw struct {
	body      []byte
	mediaType types.MediaType
}

func (m raw) RawManifest() ([]byte, error)        { return m.body, nil }
func (m raw) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// tagFor returns the tag of what is attached to an image: suffix is .sig, .att,
// or empty for the fallback index.
func (i image) tagFor(suffix string) string {
	return strings.Replace(i.digest, ":", "-", 1) + suffix
}

// manifest reads a manifest of the registry.
func manifest[T any](t *testing.T, r registry, ref string) (m T, mediaType types.MediaType) {
	t.Helper()
	got, err := remote.Get(parse(t, ref), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	return m, got.MediaType
}

// put writes a manifest.
func (r registry) put(t *testing.T, ref string, m any, mediaType types.MediaType) {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(parse(t, ref), raw{body, mediaType}, r.options()...); err != nil {
		t.Fatal(fmt.Errorf("put %s: %w", ref, err))
	}
}

// descriptor returns the descriptor of an image.
func (r registry) descriptor(t *testing.T, img image) *v1.Descriptor {
	t.Helper()
	d, err := remote.Head(parse(t, img.at()), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	return &v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// referrers returns what the registry, or the fallback tag, lists as attached
// to an image.
func (r registry) referrers(t *testing.T, img image) []v1.Descriptor {
	t.Helper()
	index, err := remote.Referrers(parse(t, img.at()).(name.Digest), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests
}

// copyTo copies the image that a tag or a digest names to another repository,
// under the same name.
func (r registry) copyTo(t *testing.T, img image, repo, reference string) image {
	t.Helper()
	separator := ":"
	if reference == img.digest {
		separator = "@"
	}
	m, err := remote.Image(parse(t, img.repo+separator+reference), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, repo+separator+reference), m, r.options()...); err != nil {
		t.Fatal(err)
	}
	return image{repo: repo, digest: img.digest}
}

// blob reads a blob of an image's repository.
func (r registry) blob(t *testing.T, img image, digest v1.Hash) string {
	t.Helper()
	layer, err := remote.Layer(parse(t, img.repo+"@"+digest.String()).(name.Digest), r.options()...)
	if err != nil {
		t.Fatal(err)
	}
	body, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// putBlob writes a blob to an image's repository.
func (r registry) putBlob(t *testing.T, img image, layer v1.Layer) {
	t.Helper()
	if err := remote.WriteLayer(parse(t, img.at()).Context(), layer, r.options()...); err != nil {
		t.Fatal(err)
	}
}
