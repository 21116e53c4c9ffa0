package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// The limits of a list.
const (
	MaxCandidates = 64 // envelopes fetched from one store
	maxPages      = 20 // pages of the referrers API
	maxEntries    = 5000
)

// The stores, as reports name them.
const (
	StoreReferrers    = "referrers API"
	StoreFallback     = "fallback tag"
	StoreSignatureTag = "signature tag"
)

// StoreError is the failure to read a whole store, as opposed to one entry.
type StoreError struct {
	Store string
	Err   error
}

func (e *StoreError) Error() string { return "the " + e.Store + ": " + e.Err.Error() }

// Unwrap returns the cause, which has the outcome and the code.
func (e *StoreError) Unwrap() error { return e.Err }

// Candidates yields the signatures that are attached to s in the referrers
// API, at the fallback tag and at the signature tag, newest first within a
// store, and an error for each store (StoreError) and each entry that could
// not be read. It reads on only while the caller asks for more. A store that
// the registry says is absent yields nothing.
func (c *Client) Candidates(ctx context.Context, s image.Subject) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		seen := map[string]bool{}
		for _, store := range []string{StoreReferrers, StoreFallback} {
			list, err := c.entries(ctx, s, store)
			if err != nil && !yield(envelope.Candidate{Store: store}, &StoreError{store, err}) {
				return
			}
			if !c.bundles(ctx, s, store, list, seen, yield) {
				return
			}
		}
		c.layers(ctx, s, yield)
	}
}

// entries returns what one of the two stores of referrers lists.
func (c *Client) entries(ctx context.Context, s image.Subject, store string) ([]descriptor, error) {
	if store == StoreReferrers {
		list, _, err := c.listReferrers(ctx, s)
		return list, err
	}
	m, found, err := c.Manifest(ctx, s.Repository, FallbackTag(s.Digest))
	if err != nil || !found || !image.IsIndex(m.MediaType) {
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
// registry does not serve it: 404, or 400 as some registries say.
func (c *Client) listReferrers(ctx context.Context, s image.Subject) (list []descriptor, api bool, err error) {
	path := "referrers/" + s.Digest
	for range maxPages {
		a, err := c.do(ctx, request{
			repository: s.Repository, method: http.MethodGet, path: path,
			header: map[string]string{"Accept": image.OCIIndex}, limit: MaxManifest, accept: []int{200, 400, 404, 405},
		})
		if err != nil {
			return nil, false, err
		}
		mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
		api = a.status == 200 && mediaType == image.OCIIndex
		c.remember(s, api)
		if !api {
			return list, false, nil
		}
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

type yielder = func(envelope.Candidate, error) bool

// bundles fetches the bundles that a store lists.
func (c *Client) bundles(ctx context.Context, s image.Subject, store string, list []descriptor, seen map[string]bool, yield yielder) bool {
	fetched := 0
	for _, d := range slices.Backward(list) {
		if seen[d.Digest] || !d.isBundle(envelope.SignaturePredicate) {
			continue
		}
		seen[d.Digest] = true
		if fetched++; fetched > MaxCandidates {
			return yield(envelope.Candidate{Store: store}, tooMany(s, store))
		}
		candidate, err := c.bundle(ctx, s, store, d)
		if errors.Is(err, errOther) {
			continue
		}
		if !yield(candidate, err) {
			return false
		}
	}
	return true
}

var errOther = errors.New("not a bundle")

func (c *Client) bundle(ctx context.Context, s image.Subject, store string, d descriptor) (envelope.Candidate, error) {
	candidate := envelope.Candidate{Format: envelope.Bundle, Store: store, Manifest: d.Digest}
	if err := image.CheckDigest(d.Digest); err != nil {
		return candidate, envelope.Malformed(candidate, "%w", err)
	}
	raw, found, err := c.Manifest(ctx, s.Repository, d.Digest)
	if err != nil {
		return candidate, err
	}
	if !found {
		return candidate, fault.Undecidedf("referrer_missing", "run again", "%s lists the referrer %s, which the registry does not have", s, d.Digest)
	}
	var m manifest
	if err := json.Unmarshal(raw.Body, &m); err != nil {
		return candidate, envelope.Malformed(candidate, "%w", err)
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(m.Layers[0].MediaType, "application/vnd.dev.sigstore.bundle") {
		return candidate, errOther
	}
	candidate.MediaType = m.Layers[0].MediaType
	candidate.Blob, err = c.blob(ctx, s.Repository, m.Layers[0], MaxBlob)
	return candidate, err
}

// layers fetches the simple signing payloads at the signature tag.
func (c *Client) layers(ctx context.Context, s image.Subject, yield yielder) {
	candidate := envelope.Candidate{Format: envelope.SimpleSigning, Store: StoreSignatureTag}
	m, found, err := c.signatureManifest(ctx, s)
	if err != nil {
		yield(candidate, &StoreError{StoreSignatureTag, err})
		return
	}
	for i, d := range slices.Backward(m.Layers) {
		if !found {
			return
		}
		if len(m.Layers)-i > MaxCandidates {
			yield(candidate, tooMany(s, StoreSignatureTag))
			return
		}
		candidate.Manifest, candidate.MediaType, candidate.Signature = m.digest, d.MediaType, d.Annotations[simplesigning.SignatureAnnotation]
		candidate.Blob, err = c.blob(ctx, s.Repository, d, simplesigning.MaxPayload)
		if !yield(candidate, err) {
			return
		}
	}
}

type signatureManifest struct {
	manifest
	digest string
}

func (c *Client) signatureManifest(ctx context.Context, s image.Subject) (signatureManifest, bool, error) {
	tag := SignatureTag(s.Digest)
	raw, found, err := c.Manifest(ctx, s.Repository, tag)
	if err != nil || !found {
		return signatureManifest{}, false, err
	}
	m := signatureManifest{digest: raw.Digest}
	if err := json.Unmarshal(raw.Body, &m.manifest); err != nil {
		return m, false, malformed(s.Repository, tag, err)
	}
	if image.IsIndex(raw.MediaType) || m.Config.Digest == "" {
		return m, false, malformed(s.Repository, tag, errors.New("it is no image manifest"))
	}
	return m, true, nil
}

func tooMany(s image.Subject, store string) error {
	return fault.Undecidedf("limit_exceeded", "delete signatures that are not needed", "%s has more than %d signatures at its %s", s, MaxCandidates, store)
}
