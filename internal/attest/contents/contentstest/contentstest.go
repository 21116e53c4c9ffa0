// Package contentstest makes images of given layers and attests their contents,
// for tests and benchmarks.
package contentstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/signer"
)

// Layer opens a layer as it is stored: a tar archive, perhaps compressed.
type Layer func() (io.ReadCloser, error)

// Image returns an image of layers in gzip.
func Image(layers ...Layer) (v1.Image, error) {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, l := range layers {
		layer, err := tarball.LayerFromOpener(tarball.Opener(l), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	return img, nil
}

// Push pushes an image to a registry that asks for no credentials.
func Push(reference string, img v1.Image) (image.Subject, error) {
	ref, err := name.NewTag(reference)
	if err != nil {
		return image.Subject{}, err
	}
	if err := remote.Write(ref, img); err != nil {
		return image.Subject{}, err
	}
	body, err := img.RawManifest()
	if err != nil {
		return image.Subject{}, err
	}
	mediaType, err := img.MediaType()
	return image.Subject{Repository: ref.Context().Name(), Digest: image.DigestOf(body), MediaType: string(mediaType), Size: int64(len(body))}, err
}

// Client returns a client for registries that ask for no credentials.
func Client() *registry.Client {
	return registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), UserAgent: "test"})
}

// Source is a repository as a source of what its images hold.
type Source struct {
	Client     *registry.Client
	Repository string
}

// Blob implements contents.Source.
func (s Source) Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error) {
	return s.Client.Stream(ctx, s.Repository, digest, size)
}

// Read reads an image in a registry.
func Read(ctx context.Context, c *registry.Client, s image.Subject, files bool) (contents.Contents, error) {
	m, _, err := c.Manifest(ctx, s.Repository, s.Digest)
	if err != nil {
		return contents.Contents{}, err
	}
	return contents.Read(ctx, Source{c, s.Repository}, m.Body, files)
}

// Attest signs what is said of an image, and attaches that and the list of the
// files.
func Attest(ctx context.Context, c *registry.Client, s image.Subject, said contents.Contents, key *ecdsa.PrivateKey) error {
	p, err := said.Predicate()
	if err != nil {
		return err
	}
	sealed, err := seal(s, p, key)
	if err != nil {
		return err
	}
	all := []envelope.Attachment{sealed}
	if said.Files != nil {
		all = append(all, envelope.Attachment{Format: envelope.Bundle, MediaType: contents.ListType, Blob: said.List})
	}
	_, err = c.Attach(ctx, s, c.View(s), all)
	return err
}

func seal(s image.Subject, p attest.Predicate, key *ecdsa.PrivateKey) (envelope.Attachment, error) {
	statement, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": p.Type, "predicate": p.Body,
		"subject": []any{map[string]any{"name": s.Repository, "digest": map[string]string{"sha256": strings.TrimPrefix(s.Digest, "sha256:")}}},
	}, json.Deterministic(true))
	if err != nil {
		return envelope.Attachment{}, err
	}
	sum := sha256.Sum256(dsse.ToSign(statement))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return envelope.Attachment{}, err
	}
	fingerprint, err := signer.Fingerprint(key.Public())
	if err != nil {
		return envelope.Attachment{}, err
	}
	return bundle.Seal(statement, sig, p.Type, fingerprint)
}
