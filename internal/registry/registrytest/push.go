package registrytest

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Remote returns the options that open the registry with go-containerregistry.
func (s *Server) Remote() []remote.Option {
	var out []remote.Option
	if s.Mode == Token {
		out = append(out, remote.WithAuth(&authn.Basic{Username: User, Password: Password}))
	}
	if s.transport != nil {
		out = append(out, remote.WithTransport(s.transport))
	}
	return out
}

// Push pushes a new image with random content and returns its digest.
func (s *Server) Push(t T, repoTag string) string {
	img, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.tag(t, repoTag), img, s.Remote()...); err != nil {
		t.Fatal(err)
	}
	return digest(t, img)
}

// PushIndex pushes an index of one image for each platform ("linux/amd64"),
// and one attestation manifest as BuildKit makes them, and returns its digest.
func (s *Server) PushIndex(t T, repoTag string, platforms ...string) string {
	var index v1.ImageIndex = empty.Index
	for _, p := range append(platforms, "unknown/unknown") {
		img, err := random.Image(256, 1)
		if err != nil {
			t.Fatal(err)
		}
		os, arch, _ := strings.Cut(p, "/")
		add := mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}}}
		if os == "unknown" {
			add.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		}
		index = mutate.AppendManifests(index, add)
	}
	if err := remote.WriteIndex(s.tag(t, repoTag), index, s.Remote()...); err != nil {
		t.Fatal(err)
	}
	return digest(t, index)
}

func (s *Server) tag(t T, repoTag string) name.Tag {
	ref, err := name.NewTag(s.Host + "/" + repoTag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func digest(t T, d interface{ Digest() (v1.Hash, error) }) string {
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}
