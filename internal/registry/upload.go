package registry

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// putBlob uploads a blob unless this run has uploaded it already.
func (c *Client) putBlob(ctx context.Context, repository string, blob []byte) error {
	digest := image.DigestOf(blob)
	_, err := c.uploads.Do(ctx, repository+digest, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.repeat(ctx, c.opts.Retry, repository, true, "uploading to "+repository, func(ctx context.Context) error {
			return c.upload(ctx, repository, digest, blob)
		})
	})
	return err
}

// upload makes one attempt: an upload that broke is begun again. A registry
// takes the blob with the POST that begins the upload (201), or in a PUT to
// where that POST says (202): OCI distribution 1.1, "Pushing a blob
// monolithically". Which of the two a host does is found out once.
func (c *Client) upload(ctx context.Context, repository, digest string, blob []byte) error {
	h := c.host(repository)
	if !h.twoSteps.Load() {
		a, err := c.once(ctx, uploadRequest(repository, "?digest="+url.QueryEscape(digest), blob))
		if err == nil && a.status == http.StatusCreated {
			c.content.put(blob)
			return nil
		}
		if err != nil && !slices.Contains(noSinglePost, a.status) {
			return err
		}
		h.twoSteps.Store(true)
		if err == nil {
			return c.finish(ctx, repository, a.header.Get("Location"), digest, blob)
		}
	}
	a, err := c.begin(ctx, repository, digest)
	if err != nil || a.status == http.StatusCreated {
		return err
	}
	return c.finish(ctx, repository, a.header.Get("Location"), digest, blob)
}

// noSinglePost are the answers with which registries refuse a blob in a POST.
var noSinglePost = []int{400, 404, 405, 411, 413, 415, 416, 422, 501}

// begin starts an upload, and asks to mount the blob where this run has put it
// into another repository of the host ("Mounting a blob from another
// repository"). A registry that does not mount starts the upload all the same.
func (c *Client) begin(ctx context.Context, repository, digest string) (answer, error) {
	s, err := c.open(ctx, repository, true)
	if err != nil {
		return answer{}, err
	}
	if s.mount != "" {
		from := hostOf(repository) + "/" + s.mount
		if _, there := c.uploads.Get(from + digest); there {
			a, err := c.once(ctx, uploadRequest(repository, "?"+url.Values{"mount": {digest}, "from": {s.mount}}.Encode(), nil))
			if err == nil {
				return a, nil
			}
		}
	}
	return c.once(ctx, uploadRequest(repository, "", nil))
}

func (c *Client) finish(ctx context.Context, repository, location, digest string, blob []byte) error {
	s, err := c.open(ctx, repository, true)
	if err != nil {
		return err
	}
	u, err := s.url("/").Parse(location)
	if err != nil || location == "" {
		return fault.Undecidedf("registry_error", "tell the registry's operator", "the registry of %s answered an upload without a usable Location", repository)
	}
	q := u.Query()
	q.Set("digest", digest)
	u.RawQuery = q.Encode()
	r := uploadRequest(repository, "", blob)
	r.method, r.path, r.accept = http.MethodPut, u.String(), []int{201}
	if _, err = c.once(ctx, r); err == nil && u.Host == s.repo.RegistryStr() {
		c.content.put(blob) // what another host took is read again
	}
	return err
}

func uploadRequest(repository, query string, blob []byte) request {
	r := request{
		repository: repository, push: true, method: http.MethodPost, path: "blobs/uploads/" + query,
		body: blob, limit: 1 << 20, accept: []int{201, 202},
	}
	if blob != nil {
		r.header = map[string]string{"Content-Type": "application/octet-stream"}
	}
	return r
}
