package storm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

func (x *target) ref(t *testing.T, suffix string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(x.Host + "/" + x.store + suffix)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// apiList asks the referrers API, or nobody where there is none.
func (x *target) apiList(t *testing.T) []v1.Descriptor {
	t.Helper()
	if x.Mode == registrytest.Fallback {
		return nil
	}
	index, err := remote.Referrers(x.ref(t, "@"+x.digest).(name.Digest), x.Remote()...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests
}

// tagList reads the fallback tag.
func (x *target) tagList(t *testing.T) []v1.Descriptor {
	t.Helper()
	index, err := remote.Index(x.ref(t, ":"+x.fallbackTag()), x.Remote()...)
	if absent(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests
}

func (x *target) bundle(t *testing.T, digest string) envelope {
	t.Helper()
	m := x.manifest(t, "@"+digest)
	if len(m.Layers) != 1 || m.Subject == nil || m.Subject.Digest.String() != x.digest {
		t.Fatalf("the referrer %s has %d layers and the subject %v", digest, len(m.Layers), m.Subject)
	}
	return readBundle(t, digest, x.blob(t, m.Layers[0].Digest.String()))
}

func (x *target) layers(t *testing.T) (out []envelope) {
	t.Helper()
	m := x.manifest(t, ":"+x.signatureTag())
	for _, l := range m.Layers {
		out = append(out, readLayer(t, l.Digest.String(), x.blob(t, l.Digest.String()), l.Annotations))
	}
	return out
}

// manifest returns an image manifest, empty where there is none.
func (x *target) manifest(t *testing.T, suffix string) *v1.Manifest {
	t.Helper()
	img, err := remote.Image(x.ref(t, suffix), x.Remote()...)
	if absent(err) {
		return &v1.Manifest{}
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (x *target) blob(t *testing.T, digest string) []byte {
	t.Helper()
	layer, err := remote.Layer(x.ref(t, "@"+digest).(name.Digest), x.Remote()...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(fmt.Errorf("the blob %s: %w", digest, err))
	}
	return b
}

func absent(err error) bool {
	var e *transport.Error
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound
}
