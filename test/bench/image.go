package main

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// image is an image or an index in a repository of its own.
type image struct {
	repo     string
	digest   string
	children []string // of an index: the digests of its platforms
}

func (i image) ref() string { return i.repo + "@" + i.digest }

// refs returns the references of all that gets a signature.
func (i image) refs() []string {
	out := []string{i.ref()}
	for _, c := range i.children {
		out = append(out, i.repo+"@"+c)
	}
	return out
}

// platforms are those of an index.
func platforms() []string {
	return []string{"linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"}
}

// push pushes an image to a new repository.
func (s *site) push() (image, error) {
	return s.pushAs(func(tag string) string { return s.registry.Push(&s.scope, tag) })
}

// pushIndex pushes an index to a new repository.
func (s *site) pushIndex() (image, error) {
	img, err := s.pushAs(func(tag string) string { return s.registry.PushIndex(&s.scope, tag, platforms()...) })
	if err != nil {
		return img, err
	}
	ref, err := name.NewDigest(img.ref())
	if err != nil {
		return img, err
	}
	index, err := remote.Index(ref, s.registry.Remote()...)
	if err != nil {
		return img, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return img, err
	}
	for _, d := range m.Manifests {
		if d.Platform.OS != "unknown" {
			img.children = append(img.children, d.Digest.String())
		}
	}
	if len(img.children) != len(platforms()) {
		return img, fmt.Errorf("%s has %d platforms, want %d", img.ref(), len(img.children), len(platforms()))
	}
	return img, nil
}

func (s *site) pushAs(push func(tag string) (digest string)) (image, error) {
	s.repos++
	repo := fmt.Sprintf("app-%d", s.repos)
	img := image{repo: s.registry.Host + "/" + repo}
	err := attempt(func() { img.digest = push(repo + ":built") })
	return img, err
}

func (s *site) pushMany(n int) ([]image, error) {
	images := make([]image, n)
	for i := range images {
		var err error
		if images[i], err = s.push(); err != nil {
			return nil, err
		}
	}
	return images, nil
}
