package demo

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// startRegistry serves an empty registry on a free port of the loopback
// interface.
func startRegistry() (host string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, demoFailed(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return l.Addr().String(), func() { server.Close(); <-done }, nil
}

// push pushes a random image to a tag and returns its digest.
func (s *stage) push(ctx context.Context, tag string) (string, error) {
	img, err := random.Image(1024, 1)
	if err != nil {
		return "", demoFailed(err)
	}
	ref, err := name.NewTag(s.repo + ":" + tag)
	if err != nil {
		return "", demoFailed(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", demoFailed(err)
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// raw is a manifest that is pushed as it is.
type raw struct {
	body      []byte
	mediaType types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return r.body, nil }
func (r raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }

// flipSignature changes one bit of the signature in the signature manifest of
// an image.
func flipSignature(ctx context.Context, repo, digest string) error {
	ref, err := name.NewTag(repo + ":" + strings.Replace(digest, ":", "-", 1) + ".sig")
	if err != nil {
		return demoFailed(err)
	}
	got, err := remote.Get(ref, remote.WithContext(ctx))
	if err != nil {
		return demoFailed(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(got.Manifest, &m); err != nil {
		return demoFailed(err)
	}
	for _, layer := range m.Layers {
		for name, value := range layer.Annotations {
			layer.Annotations[name] = flip(value)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return demoFailed(err)
	}
	if err := remote.Put(ref, raw{body, got.MediaType}, remote.WithContext(ctx)); err != nil {
		return demoFailed(err)
	}
	return nil
}

// flip changes the last bit of a base64 text in its middle.
func flip(text string) string {
	i := len(text) / 2
	c := byte('A')
	if text[i] == 'A' {
		c = 'B'
	}
	return text[:i] + string(c) + text[i+1:]
}
