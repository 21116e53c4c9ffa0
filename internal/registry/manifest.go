package registry

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// The limits of what is read, in bytes.
const (
	MaxManifest = 4 << 20
	MaxBlob     = 16 << 20
)

// Manifest is a manifest as the registry holds it.
type Manifest struct {
	Digest    string // computed from Body
	MediaType string // as the registry calls it, without parameters
	Body      []byte
}

const acceptManifests = image.OCIManifest + ", " + image.OCIIndex + ", " + image.DockerManifest + ", " + image.DockerList

// Manifest returns the manifest that a tag or a digest names. The second
// result is false when the registry says that there is none; any other failure
// is an error. A manifest that has not the digest that was asked for is a
// refusal ("content_mismatch").
func (c *Client) Manifest(ctx context.Context, repository, reference string) (Manifest, bool, error) {
	a, err := c.do(ctx, request{
		repository: repository, method: http.MethodGet, path: "manifests/" + reference,
		header: map[string]string{"Accept": acceptManifests}, limit: MaxManifest, accept: []int{200, 404},
	})
	if err != nil || a.status == 404 {
		return Manifest{}, false, err
	}
	m := Manifest{Digest: image.DigestOf(a.body), Body: a.body}
	m.MediaType, _, _ = mime.ParseMediaType(a.header.Get("Content-Type"))
	if strings.HasPrefix(reference, "sha256:") && m.Digest != reference {
		return Manifest{}, false, mismatch(repository, reference, m.Digest)
	}
	return m, true, nil
}

// Resolve returns the digest that a tag points to, and false when the
// registry says that there is no such tag.
func (c *Client) Resolve(ctx context.Context, repository, tag string) (string, bool, error) {
	a, err := c.do(ctx, request{
		repository: repository, method: http.MethodHead, path: "manifests/" + tag,
		header: map[string]string{"Accept": acceptManifests}, accept: []int{200, 404},
	})
	if err != nil || a.status == 404 {
		return "", false, err
	}
	if d := a.header.Get("Docker-Content-Digest"); image.CheckDigest(d) == nil {
		return d, true, nil
	}
	m, ok, err := c.Manifest(ctx, repository, tag)
	return m.Digest, ok, err
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
	a, err := c.do(ctx, request{repository: repository, method: http.MethodGet, path: "blobs/" + d.Digest, limit: d.Size, accept: []int{200, 404}})
	switch {
	case err != nil:
		return nil, err
	case a.status == 404:
		return nil, fault.Undecidedf("blob_missing", "run again; if it stays missing, sign the image again", "%s names the blob %s, which the registry does not have", repository, d.Digest)
	case image.DigestOf(a.body) != d.Digest:
		return nil, mismatch(repository, d.Digest, image.DigestOf(a.body))
	}
	return a.body, nil
}

// putManifest writes a manifest under a tag or its digest.
func (c *Client) putManifest(ctx context.Context, repository, reference, mediaType string, body []byte) error {
	_, err := c.do(ctx, request{
		repository: repository, push: true, method: http.MethodPut, path: "manifests/" + reference,
		header: map[string]string{"Content-Type": mediaType}, body: body, limit: 1 << 20, accept: []int{200, 201, 202},
	})
	return err
}

// putBlob uploads a blob unless this run has uploaded it already.
func (c *Client) putBlob(ctx context.Context, repository string, blob []byte) error {
	digest := image.DigestOf(blob)
	c.mu.Lock()
	done := c.uploaded[repository+digest]
	c.mu.Unlock()
	if done {
		return nil
	}
	_, err, _ := c.uploads.Do(repository+digest, func() (any, error) {
		return nil, c.opts.Retry.Do(ctx, "uploading to "+repository, func(ctx context.Context) error {
			return c.upload(ctx, repository, digest, blob)
		})
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.uploaded[repository+digest] = true
	c.mu.Unlock()
	return nil
}

// upload makes one attempt: an upload that broke is begun again.
func (c *Client) upload(ctx context.Context, repository, digest string, blob []byte) error {
	a, err := c.once(ctx, request{repository: repository, push: true, method: http.MethodPost, path: "blobs/uploads/", limit: 1 << 20, accept: []int{201, 202}})
	if err != nil || a.status == 201 {
		return err
	}
	s, err := c.session(ctx, repository, true)
	if err != nil {
		return err
	}
	base := &url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr()}
	u, err := base.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" {
		return fault.Undecidedf("registry_error", "", "the registry of %s answered an upload without a usable Location", repository)
	}
	q := u.Query()
	q.Set("digest", digest)
	u.RawQuery = q.Encode()
	_, err = c.once(ctx, request{
		repository: repository, push: true, method: http.MethodPut, path: u.String(), body: blob,
		header: map[string]string{"Content-Type": "application/octet-stream"}, limit: 1 << 20, accept: []int{201},
	})
	return err
}

func mismatch(repository, want, got string) error {
	return fault.Refusedf("content_mismatch", "do not use this image; the registry or something before it is broken or hostile",
		"%s was asked for %s and returned content with the digest %s", repository, want, got)
}

var wordy = regexp.MustCompile(`^[A-Z_]{1,40}$`)

// errorCode returns " (CODE)" for the first error code of a registry's error
// body. The message beside it is the registry's and is not repeated.
func errorCode(body []byte) string {
	var e struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil || len(e.Errors) == 0 || !wordy.MatchString(e.Errors[0].Code) {
		return ""
	}
	return " (" + e.Errors[0].Code + ")"
}
