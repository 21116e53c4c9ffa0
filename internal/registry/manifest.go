package registry

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// The limits of what is read, in bytes.
const (
	MaxManifest = 4 << 20
	MaxBlob     = envelope.MaxBlob
	maxReferrer = 1 << 20 // the manifest of a bundle
)

// Manifest is a manifest as the registry holds it.
type Manifest struct {
	Digest    string // computed from Body
	MediaType string // as the registry calls it, without parameters
	Body      []byte
}

const acceptManifests = image.OCIManifest + ", " + image.OCIIndex + ", " + image.DockerManifest + ", " + image.DockerList

// Manifest returns the manifest that a tag or a digest names, and Absent when
// the registry says that there is none; Unknown comes with an error. A
// manifest that has not the digest that was asked for is a refusal
// ("content_mismatch").
func (c *Client) Manifest(ctx context.Context, repository, reference string) (Manifest, Presence, error) {
	return c.manifest(ctx, repository, reference, MaxManifest)
}

func (c *Client) manifest(ctx context.Context, repository, reference string, limit int64) (Manifest, Presence, error) {
	var m Manifest
	a, err := c.do(ctx, request{
		repository: repository, method: http.MethodGet, path: "manifests/" + reference,
		header: map[string]string{"Accept": acceptManifests}, limit: limit, accept: []int{200, 404},
		check: func(a answer) error {
			m = Manifest{Digest: image.DigestOf(a.body), Body: a.body}
			m.MediaType, _, _ = mime.ParseMediaType(a.header.Get("Content-Type"))
			if strings.HasPrefix(reference, "sha256:") && m.Digest != reference {
				return mismatch(repository, reference, m.Digest)
			}
			return nil
		},
	})
	switch {
	case err != nil:
		return Manifest{}, Unknown, err
	case a.status == 404:
		return Manifest{}, Absent, nil
	}
	return m, Found, nil
}

// Resolve returns the digest that a tag points to, and Absent when the
// registry says that there is no such tag; Unknown comes with an error.
func (c *Client) Resolve(ctx context.Context, repository, tag string) (string, Presence, error) {
	a, err := c.do(ctx, request{
		repository: repository, method: http.MethodHead, path: "manifests/" + tag,
		header: map[string]string{"Accept": acceptManifests}, accept: []int{200, 404},
	})
	switch {
	case err != nil:
		return "", Unknown, err
	case a.status == 404:
		return "", Absent, nil
	}
	if d := a.header.Get("Docker-Content-Digest"); image.CheckDigest(d) == nil {
		return d, Found, nil
	}
	m, p, err := c.Manifest(ctx, repository, tag)
	return m.Digest, p, err
}

// Tag points a tag of the repository to a manifest that is in it, by the same
// bytes. It needs a client that may push.
func (c *Client) Tag(ctx context.Context, repository, tag string, m Manifest) error {
	_, err := c.do(ctx, manifestPut(repository, tag, m.MediaType, m.Body))
	return err
}

// byDigest returns the bytes of a manifest that a list names, and asks the
// registry only when this run has not seen them.
func (c *Client) byDigest(ctx context.Context, repository, digest string, limit int64) ([]byte, Presence, error) {
	if body, ok := c.content.get(digest); ok {
		return body, Found, nil
	}
	m, p, err := c.manifest(ctx, repository, digest, limit)
	if p == Found {
		c.content.put(m.Body)
	}
	return m.Body, p, err
}

// blob returns a blob of at most limit bytes. One that is missing is an error,
// because a manifest has named it.
func (c *Client) blob(ctx context.Context, repository string, d descriptor, limit int64) ([]byte, error) {
	if err := image.CheckDigest(d.Digest); err != nil {
		return nil, fault.Refusedf("signature_malformed", "", "%s names a blob by %q, which is no digest", repository, d.Digest)
	}
	if d.Size < 0 || d.Size > limit {
		return nil, tooLarge(repository, "the blob "+d.Digest, limit)
	}
	if b, ok := c.content.get(d.Digest); ok && int64(len(b)) == d.Size {
		return b, nil
	}
	a, err := c.do(ctx, request{
		repository: repository, method: http.MethodGet, path: "blobs/" + d.Digest, limit: d.Size, size: d.Size, accept: []int{200, 404},
		check: func(a answer) error { return checkBlob(repository, d, a.body) },
	})
	if err == nil && a.status == 404 {
		err = missingBlob(repository, d.Digest, "sign the image again")
	}
	if err != nil {
		return nil, err
	}
	c.content.put(a.body)
	return a.body, nil
}

func missingBlob(repository, digest, next string) error {
	return fault.Undecidedf("blob_missing", "run again; if it stays missing, "+next, "%s names the blob %s, which the registry does not have", repository, digest)
}

func checkBlob(repository string, d descriptor, body []byte) error {
	got := image.DigestOf(body)
	switch {
	case got == d.Digest:
		return nil
	case int64(len(body)) < d.Size:
		return cutShort(repository, d.Digest, int64(len(body)), d.Size)
	}
	return mismatch(repository, d.Digest, got)
}

func cutShort(repository, digest string, got, size int64) error {
	return fault.Transientf("registry_unreachable", "run again later", "the registry of %s sent %d of the %d bytes of %s", repository, got, size, digest)
}

// putManifest writes a manifest under its digest.
func (c *Client) putManifest(ctx context.Context, repository, digest, mediaType string, body []byte) error {
	_, err := c.do(ctx, manifestPut(repository, digest, mediaType, body))
	if err == nil {
		c.content.put(body)
	}
	return err
}

func manifestPut(repository, reference, mediaType string, body []byte) request {
	return request{
		repository: repository, push: true, method: http.MethodPut, path: "manifests/" + reference,
		header: map[string]string{"Content-Type": mediaType}, body: body, limit: 1 << 20, accept: []int{200, 201, 202},
	}
}
