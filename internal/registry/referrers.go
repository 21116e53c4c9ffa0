package registry

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// entries returns what one of the two stores of referrers lists.
func (c *Client) entries(ctx context.Context, s image.Subject, store string) ([]descriptor, error) {
	if store == StoreReferrers {
		list, _, err := c.listReferrers(ctx, s)
		return list, err
	}
	m, found, err := c.Manifest(ctx, s.Repository, FallbackTag(s.Digest))
	if err != nil || !found || image.IsManifest(m.MediaType) && !image.IsIndex(m.MediaType) {
		return nil, err // cosign copy puts the image itself at this tag: that lists no referrers
	}
	return c.parseIndex(s, FallbackTag(s.Digest), m.MediaType, m.Body)
}

func (c *Client) parseIndex(s image.Subject, what, mediaType string, body []byte) ([]descriptor, error) {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if mediaType != image.OCIIndex {
		return nil, malformed(s.Repository, what, fmt.Errorf("its media type is %q", mediaType))
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return nil, malformed(s.Repository, what, err)
	}
	if len(index.Manifests) > maxEntries {
		return nil, fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "%s has %d referrers, more than %d", s, len(index.Manifests), maxEntries)
	}
	return index.Manifests, nil
}

func (c *Client) hasReferrers(ctx context.Context, s image.Subject) (bool, error) {
	host, _, _ := strings.Cut(s.Repository, "/")
	c.mu.Lock()
	api, known := c.referrers[host]
	c.mu.Unlock()
	if known {
		return api, nil
	}
	_, api, err := c.listReferrers(ctx, s)
	return api, err
}

// listReferrers asks the referrers API. The second result is false when the
// registry does not serve it: 404, or 400 or 405 as some registries say. An
// answer that is neither that nor an index is unknown.
func (c *Client) listReferrers(ctx context.Context, s image.Subject) (list []descriptor, api bool, err error) {
	path := "referrers/" + s.Digest
	for n := range maxPages {
		a, err := c.do(ctx, request{
			repository: s.Repository, method: http.MethodGet, path: path,
			header: map[string]string{"Accept": image.OCIIndex}, limit: MaxManifest, accept: []int{200, 400, 404, 405},
		})
		if err != nil {
			return nil, false, err
		}
		mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
		if a.status != 200 && n == 0 {
			c.remember(s, false)
			return nil, false, nil
		}
		if a.status != 200 || mediaType != image.OCIIndex {
			return nil, false, fault.Undecidedf("registry_error", "run again later; if it stays, tell the registry's operator",
				"the registry of %s answered its referrers API with %d and the content type %q", s.Repository, a.status, mediaType)
		}
		c.remember(s, true)
		page, err := c.parseIndex(s, path, mediaType, a.body)
		if err != nil {
			return nil, true, err
		}
		list = append(list, page...)
		if path, err = c.next(ctx, s, a.header.Get("Link")); err != nil || path == "" {
			return list, true, err
		}
	}
	return nil, true, fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "%s has more than %d pages of referrers", s, maxPages)
}

func (c *Client) remember(s image.Subject, api bool) {
	host, _, _ := strings.Cut(s.Repository, "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.referrers[host] = api
}

var nextLink = regexp.MustCompile(`<([^>]+)>\s*;\s*rel="?next"?`)

// next returns the address of the next page, which has to be on the same host.
func (c *Client) next(ctx context.Context, s image.Subject, link string) (string, error) {
	m := nextLink.FindStringSubmatch(link)
	if m == nil {
		return "", nil
	}
	session, err := c.session(ctx, s.Repository, false)
	if err != nil {
		return "", err
	}
	base := &url.URL{Scheme: session.repo.Scheme(), Host: session.repo.RegistryStr(), Path: "/v2/" + session.repo.RepositoryStr() + "/referrers/"}
	u, err := base.Parse(m[1])
	if err != nil || u.Host != base.Host {
		return "", fault.Undecidedf("registry_error", "", "the registry of %s names a next page on another host", s.Repository)
	}
	return u.String(), nil
}
