package registry

import (
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// Placed is what Attach has written for one subject, and what Confirm has to
// find.
type Placed struct {
	Written []string // digests of the bundle manifests and, after Confirm, of the one at the signature tag
	Refused error    // why the signature tag could not be replaced ("tag_immutable"); the bundles are there

	subject image.Subject
	formats []envelope.Format
	api     bool              // the registry serves the referrers API
	bundles map[string][]byte // the manifests of the bundles, by digest
	layers  merged            // what the signature tag has to hold; no tag for nothing
	wrote   bool              // the signature tag was written
	index   merged            // what the fallback tag has to hold
	old     tagged            // what the fallback tag held before
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
	p := &Placed{subject: s, bundles: map[string][]byte{}}
	var bundles, layers []envelope.Attachment
	for _, a := range attachments {
		if a.Format == envelope.SimpleSigning {
			layers = append(layers, a)
		} else {
			bundles = append(bundles, a)
		}
	}
	known, err := v.support(ctx)
	if err != nil {
		return nil, err
	}
	p.api = known == supported
	if len(layers) > 0 || v.Behind(ctx) {
		p.formats, p.layers = append(p.formats, envelope.SimpleSigning), c.signatureLayers(s, p.api)
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
	if len(layers) > 0 {
		g.Go(func() error { return c.attachLayers(ctx, v, p, layers) })
	}
	return p, g.Wait()
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
	p.layers.referrer = p.api
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
	entries, bodies := make([]descriptor, len(bundles)), make([][]byte, len(bundles))
	var g errgroup.Group
	for i, a := range bundles {
		g.Go(func() (err error) {
			entries[i], bodies[i], err = c.putReferrer(ctx, p.subject, a)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, d := range entries {
		p.Written, p.bundles[d.Digest] = append(p.Written, d.Digest), bodies[i]
	}
	if known, _ := v.support(ctx); known == supportUnknown {
		if err := c.probe(ctx, p); err != nil {
			return err
		}
	}
	if p.api {
		return nil
	}
	p.index = c.fallbackIndex(p.subject, entries...)
	var err error
	p.old, _, err = c.place(ctx, v, p.index, nil)
	return err
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

func (c *Client) attachLayers(ctx context.Context, v *View, p *Placed, layers []envelope.Attachment) error {
	blobs := make([][]byte, len(layers))
	for i, a := range layers {
		d := describe(a.MediaType, a.Blob)
		d.Annotations = a.Annotations
		p.layers.items, blobs[i] = append(p.layers.items, d), a.Blob
	}
	var err error
	if p.wrote, err = c.placeLayers(ctx, v, p, p.layers, blobs, nil); err != nil {
		return err
	}
	if known, _ := v.support(ctx); known == supportUnknown && !p.api {
		return c.probe(ctx, p)
	}
	return nil
}

// placeLayers adds layers to the signature tag, whose blobs it uploads, and
// reports whether it has written. A tag that cannot be replaced is noted and is
// no error.
func (c *Client) placeLayers(ctx context.Context, v *View, p *Placed, l merged, blobs [][]byte, merges []string) (wrote bool, err error) {
	_, wrote, err = c.place(ctx, v, l, func(m members, old tagged) error {
		config, err := completeLayers(m, p.subject, old, l.referrer, merges)
		if err != nil {
			return malformed(l.repository, l.tag, err)
		}
		return c.putBlobs(ctx, l.repository, append(slices.Clone(blobs), config)...)
	})
	if fault.CodeOf(err) == "tag_immutable" {
		p.Refused, p.layers = err, merged{}
		return false, nil
	}
	return wrote, err
}

// completeLayers adds to a simple signing manifest what follows from its
// layers, and returns its config, an image config that lists them. Where the
// registry serves the referrers API the manifest is a referrer, so that a
// version of the tag that another writer replaces stays listed.
func completeLayers(m members, s image.Subject, old tagged, api bool, merges []string) ([]byte, error) {
	list, err := m.descriptors("layers")
	if err != nil {
		return nil, err
	}
	diffIDs := make([]string, len(list))
	for i, d := range list {
		diffIDs[i] = d.Digest
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "", "os": "", "created": "0001-01-01T00:00:00Z", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	if err := m.set("config", describe(configMediaType, config)); err != nil {
		return nil, err
	}
	if api && (old.presence == Absent || old.MediaType == image.OCIManifest) {
		err = m.setVersion(s, old, merges)
	}
	return config, err
}
