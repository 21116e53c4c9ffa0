package registry

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// support is whether a registry serves the referrers API. Its answers decide
// that; a header in the answer to a push does not.
type support int

const (
	supportUnknown support = iota
	supported
	unsupported
)

// The limits of a list.
const (
	maxPages   = 20 // pages of the referrers API
	maxEntries = 5000
	maxList    = 8 << 20 // bytes of all pages
)

// listing is what one list has. With an error it holds what was read before.
type listing struct {
	support support
	assumed bool // nobody asked about this subject, because the host said no for another
	entries []descriptor
	size    int // bytes
	err     error
}

// listReferrers asks the referrers API about a subject, and finds out on the
// way whether the host serves it: the first asker probes, others wait for the
// answer and do not ask a host that does not.
func (c *Client) listReferrers(ctx context.Context, s image.Subject) listing {
	h, probed := c.host(c.store(s)), (*listing)(nil)
	known, err := h.referrers.Do(ctx, struct{}{}, func(ctx context.Context) (support, error) {
		l := c.askReferrers(ctx, s)
		probed = &l
		return l.support, nil
	})
	if known == supportUnknown {
		h.referrers.Forget(struct{}{})
	}
	switch {
	case probed != nil:
		return *probed
	case err != nil:
		return listing{err: err}
	case known == unsupported:
		return listing{support: unsupported, assumed: true}
	}
	return c.askReferrers(ctx, s)
}

// askReferrers reads all pages. A host does not serve the API when it answers
// 404, or 400 or 405 as some do. A repository that does not exist (yet) lists
// nothing and says nothing about the API. Any other answer that is no index is
// unknown.
func (c *Client) askReferrers(ctx context.Context, s image.Subject) (l listing) {
	path := "referrers/" + s.Digest
	for n := range maxPages {
		a, err := c.do(ctx, request{
			repository: c.store(s), method: http.MethodGet, path: path,
			header: map[string]string{"Accept": image.OCIIndex}, limit: MaxManifest, accept: []int{200, 400, 404, 405},
		})
		if err == nil && a.status != 200 && n == 0 {
			return listing{support: refusal(a)}
		}
		if err == nil {
			err = c.add(&l, s, path, a)
		}
		if err == nil {
			path, err = c.next(ctx, s, a.header.Get("Link"))
		}
		if err != nil || path == "" {
			l.err = err
			return l
		}
	}
	l.err = fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "%s has more than %d pages of referrers", s, maxPages)
	return l
}

func refusal(a answer) support {
	if a.status == 404 && errorCode(a.body) == "NAME_UNKNOWN" {
		return supportUnknown
	}
	return unsupported
}

// add adds a page.
func (c *Client) add(l *listing, s image.Subject, path string, a answer) error {
	mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status != 200 || mediaType != image.OCIIndex {
		return fault.Undecidedf("registry_error", "run again later; if it stays, tell the registry's operator",
			"the registry of %s answered its referrers API with %d and the content type %q", c.store(s), a.status, mediaType)
	}
	l.support = supported
	if l.size += len(a.body); l.size > maxList {
		return fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "the list of referrers of %s is larger than %d bytes", s, maxList)
	}
	page, err := parseIndex(c.store(s), path, mediaType, a.body)
	l.entries = append(l.entries, page...)
	if err == nil && len(l.entries) > maxEntries {
		l.entries = l.entries[:maxEntries]
		err = fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "%s has more than %d referrers", s, maxEntries)
	}
	return err
}

// parseIndex returns the entries of an index that lists referrers.
func parseIndex(repository, what, mediaType string, body []byte) ([]descriptor, error) {
	if mediaType != image.OCIIndex {
		return nil, malformed(repository, what, fmt.Errorf("its media type is %q", mediaType))
	}
	if image.Crowded(body) {
		return nil, fault.Undecidedf("limit_exceeded", "delete referrers that are not needed", "the list of referrers at %s:%s has more values than are read", repository, what)
	}
	var index struct {
		MediaType string       `json:"mediaType"`
		Manifests []descriptor `json:"manifests"`
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return nil, malformed(repository, what, err)
	}
	if index.Config != nil || index.Layers != nil || index.MediaType != "" && index.MediaType != mediaType {
		return nil, malformed(repository, what, errors.New("it is called an index and is not one alone"))
	}
	return index.Manifests, nil
}

var nextLink = regexp.MustCompile(`<([^>]+)>\s*;\s*rel="?next"?`)

// next returns the address of the next page, which has to be on the same host,
// and "" after the last one.
func (c *Client) next(ctx context.Context, s image.Subject, link string) (string, error) {
	m := nextLink.FindStringSubmatch(link)
	if m == nil {
		return "", nil
	}
	session, err := c.open(ctx, c.store(s), false)
	if err != nil {
		return "", err
	}
	base := session.url("/v2/" + session.repo.RepositoryStr() + "/referrers/")
	u, err := base.Parse(m[1])
	if err != nil || (url.URL{Scheme: u.Scheme, Host: u.Host}) != (url.URL{Scheme: base.Scheme, Host: base.Host}) {
		return "", fault.Undecidedf("registry_error", "tell the registry's operator", "the registry of %s names a next page on another host", c.store(s))
	}
	return u.String(), nil
}
