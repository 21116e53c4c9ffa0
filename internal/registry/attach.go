package registry

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/image"
)

// Placed is what Attach has written for one subject, and what Confirm has to
// find.
type Placed struct {
	Written []string                  // digests of the bundle manifests and, after Confirm, of those at cosign's tags
	Refused map[envelope.Format]error // why a tag of cosign's could not be replaced ("tag_immutable"); the bundles are there

	subject image.Subject
	formats []envelope.Format
	api     bool              // the registry serves the referrers API
	bundles map[string][]byte // the manifests of the bundles, by digest
	tags    []*placedTag      // what cosign's tags have to hold
	index   merged            // what the fallback tag has to hold
	old     tagged            // what the fallback tag held before
}

// placedTag is what one of cosign's tags has to hold.
type placedTag struct {
	cosignTag
	layers  merged
	wrote   bool  // the tag was written
	refused error // it could not be
}

// Attach writes attachments to where they are stored. Blobs come first and
// manifests last, so a run that is killed leaves nothing that a reader could
// take for a signature, and can be run again. Entries of others are kept. v is
// what the registry listed for s before; lists that may have changed are read
// again.
//
// A writer that comes after may not have seen what is written here, so Confirm
// has to follow, after Settle.
func (c *Client) Attach(ctx context.Context, s image.Subject, v *View, attachments []envelope.Attachment) (*Placed, error) {
	p := &Placed{subject: s, bundles: map[string][]byte{}, Refused: map[envelope.Format]error{}}
	by := map[envelope.Format][]envelope.Attachment{}
	for _, a := range attachments {
		by[a.Format] = append(by[a.Format], a)
	}
	bundles := by[envelope.Bundle]
	known, err := v.support(ctx)
	if err != nil {
		return nil, err
	}
	p.api = known == supported
	for _, k := range cosignTags() {
		if len(by[k.format]) > 0 || v.behind(ctx, k) {
			p.formats, p.tags = append(p.formats, k.format), append(p.tags, &placedTag{cosignTag: k, layers: c.layers(k, s, p.api)})
		}
	}
	if len(bundles) > 0 {
		p.formats = append(p.formats, envelope.Bundle)
	}
	var g errgroup.Group
	if known == supportUnknown { // one after the other: the repository comes into being with the first
		g.SetLimit(1)
	}
	if len(bundles) > 0 {
		g.Go(func() error { return c.attachBundles(ctx, v, p, bundles) })
	}
	for _, t := range p.tags {
		if layers := by[t.format]; len(layers) > 0 {
			g.Go(func() error { return c.attachLayers(ctx, v, p, t, layers) })
		}
	}
	err = g.Wait()
	p.noteRefused()
	return p, err
}

func (p *Placed) noteRefused() {
	for _, t := range p.tags {
		if t.refused != nil {
			p.Refused[t.format] = t.refused
		}
	}
}

// support returns whether the registry serves the referrers API. It is unknown
// without an error as long as the repository does not exist.
func (v *View) support(ctx context.Context) (support, error) {
	if known, ok := v.client.host(v.client.store(v.subject)).referrers.Get(struct{}{}); ok && known != supportUnknown {
		return known, nil
	}
	l := v.listing(ctx)
	if l.support == supportUnknown && l.err != nil {
		return supportUnknown, &StoreError{StoreReferrers, l.err}
	}
	return l.support, nil
}

// probe asks again whether the registry serves the referrers API, now that the
// repository exists.
func (c *Client) probe(ctx context.Context, p *Placed) error {
	l := c.listReferrers(ctx, p.subject)
	if l.support == supportUnknown && l.err != nil {
		return &StoreError{StoreReferrers, l.err}
	}
	p.api = l.support == supported
	for _, t := range p.tags {
		t.layers.referrer = p.api
	}
	return nil
}

// CheckFallback returns a refusal when bundles would have to be listed at a
// fallback tag that holds something else. Where the registry serves the
// referrers API there is nothing to check.
func (v *View) CheckFallback(ctx context.Context) error {
	if l := v.listing(ctx); l.err != nil || l.support == supported {
		return l.err
	}
	l := v.client.fallbackIndex(v.subject)
	t, err := v.tag(ctx, l.tag)
	if err != nil {
		return err
	}
	_, err = l.open(t)
	return err
}

func (c *Client) attachBundles(ctx context.Context, v *View, p *Placed, bundles []envelope.Attachment) error {
	// What a statement names is there before the statement.
	slices.SortStableFunc(bundles, func(a, b envelope.Attachment) int { return cmp.Compare(rank(a), rank(b)) })
	beside := slices.IndexFunc(bundles, func(a envelope.Attachment) bool { return rank(a) > 0 })
	if beside < 0 {
		beside = len(bundles)
	}
	first, err := c.putReferrers(ctx, p, bundles[:beside])
	if err != nil {
		return err
	}
	entries, err := c.putReferrers(ctx, p, bundles[beside:])
	if err != nil {
		return err
	}
	entries = append(first, entries...)
	if known, _ := v.support(ctx); known == supportUnknown {
		if err := c.probe(ctx, p); err != nil {
			return err
		}
	}
	if p.api {
		return nil
	}
	p.index = c.fallbackIndex(p.subject, entries...)
	p.old, _, err = c.place(ctx, v, p.index, nil)
	return err
}

// rank is 0 for what is attached beside bundles, and 1 for those.
func rank(a envelope.Attachment) int {
	if a.MediaType == bundle.MediaType {
		return 1
	}
	return 0
}

// putReferrers uploads referrers at the same time and returns their descriptors.
func (c *Client) putReferrers(ctx context.Context, p *Placed, list []envelope.Attachment) ([]descriptor, error) {
	entries, bodies := make([]descriptor, len(list)), make([][]byte, len(list))
	var g errgroup.Group
	for i, a := range list {
		g.Go(func() (err error) {
			entries[i], bodies[i], err = c.putReferrer(ctx, p.subject, a)
			return err
		})
	}
	err := g.Wait()
	for i, d := range entries {
		if err == nil {
			p.Written, p.bundles[d.Digest] = append(p.Written, d.Digest), bodies[i]
		}
	}
	return entries, err
}

// putReferrer uploads a bundle and the manifest that makes it a referrer.
func (c *Client) putReferrer(ctx context.Context, s image.Subject, a envelope.Attachment) (d descriptor, body []byte, err error) {
	if err := c.putBlobs(ctx, c.store(s), emptyBlob, a.Blob); err != nil {
		return d, nil, err
	}
	if d, body, err = referrer(s, a, time.Now()); err != nil {
		return d, nil, err
	}
	return d, body, c.putManifest(ctx, c.store(s), d.Digest, image.OCIManifest, body)
}

func (c *Client) putBlobs(ctx context.Context, repository string, blobs ...[]byte) error {
	var g errgroup.Group
	for _, b := range blobs {
		g.Go(func() error { return c.putBlob(ctx, repository, b) })
	}
	return g.Wait()
}
