package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// attached is how many signatures the registry holds for a manifest.
type attached struct{ bundles, layers int }

func (a attached) String() string {
	return fmt.Sprintf("%d bundles and %d simple signing layers", a.bundles, a.layers)
}

// attached asks the registry, without either program.
func (s *site) attached(ref string) (attached, error) {
	var a attached
	digest, err := name.NewDigest(ref)
	if err != nil {
		return a, err
	}
	if a.bundles, err = s.bundles(digest); err != nil {
		return a, err
	}
	tag := digest.Context().Tag(strings.Replace(digest.DigestStr(), ":", "-", 1) + ".sig")
	m, err := s.manifest(tag)
	if e, ok := errors.AsType[*transport.Error](err); ok && e.StatusCode == http.StatusNotFound {
		return a, nil
	}
	a.layers = len(m.Layers)
	return a, err
}

// bundles counts the referrers, or the entries at the fallback tag, that hold a
// bundle.
func (s *site) bundles(digest name.Digest) (int, error) {
	index, err := remote.Referrers(digest, s.registry.Remote()...)
	if err != nil {
		return 0, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, d := range list.Manifests {
		m, err := s.manifest(digest.Context().Digest(d.Digest.String()))
		if err != nil {
			return 0, err
		}
		if len(m.Layers) == 1 && strings.HasPrefix(string(m.Layers[0].MediaType), "application/vnd.dev.sigstore.bundle") {
			n++
		}
	}
	return n, nil
}

func (s *site) manifest(ref name.Reference) (v1.Manifest, error) {
	img, err := remote.Image(ref, s.registry.Remote()...)
	if err != nil {
		return v1.Manifest{}, err
	}
	m, err := img.Manifest()
	if err != nil {
		return v1.Manifest{}, err
	}
	return *m, nil
}
