package registry

import (
	"context"
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
	layers  merged            // what the signature tag has to hold; no items for nothing
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
	if len(bundles) > 0 {
		p.formats = append(p.formats, envelope.Bundle)
	}
	if len(layers) > 0 {
		p.formats = append(p.formats, envelope.SimpleSigning)
	}
	var g errgroup.Group
	known := v.support(ctx)
	p.api = known == supported
	if known == supportUnknown && len(bundles) > 0 { // the repository may come into being with the first bundle
		if err := c.attachBundles(ctx, v, p, bundles); err != nil {
			return p, err
		}
	} else if len(bundles) > 0 {
		g.Go(func() error { return c.attachBundles(ctx, v, p, bundles) })
	}
	if len(layers) > 0 {
		g.Go(func() error { return c.attachLayers(ctx, v, p, layers) })
	}
	return p, g.Wait()
}

// support returns whether the registry serves the referrers API, as far as
// that is known or can be found out.
func (v *View) support(ctx context.Context) support {
	if known, ok := v.client.host(v.client.store(v.subject)).referrers.Get(struct{}{}); ok && known != supportUnknown {
		return known
	}
	return v.listing(ctx).support
}

// CheckFallback returns a refusal when bundles would have to be listed at a
// fallback tag that holds something else. Where the registry serves the
// referrers API there is nothing to check.
func (v *View) CheckFallback(ctx context.Context) error {
	if l := v.listing(ctx); l.err != nil || l.support == supported {
		return l.err
	}
	l := fallbackIndex(v.subject)
	t, err := v.tag(ctx, l.tag)
	if err != nil {
		return err
	}
	_, err = l.open(v.subject, t)
	return err
}

func fallbackIndex(s image.Subject, items ...descriptor) merged {
	return merged{tag: FallbackTag(s.Digest), mediaType: image.OCIIndex, name: "manifests", items: items}
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
	if !p.api && v.support(ctx) == supportUnknown {
		p.api = c.listReferrers(ctx, p.subject).support == supported // now that the repository exists
	}
	if p.api {
		return nil
	}
	p.index = fallbackIndex(p.subject, entries...)
	var err error
	p.old, err = c.place(ctx, v, p.index, nil)
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
	_, err = c.putManifest(ctx, c.store(s), d.Digest, image.OCIManifest, body)
	return d, body, err
}

func (c *Client) putBlobs(ctx context.Context, repository string, blobs ...[]byte) error {
	var g errgroup.Group
	for _, b := range blobs {
		g.Go(func() error { return c.putBlob(ctx, repository, b) })
	}
	return g.Wait()
}

func (c *Client) attachLayers(ctx context.Context, v *View, p *Placed, layers []envelope.Attachment) error {
	p.layers = merged{tag: SignatureTag(v.subject.Digest), mediaType: image.OCIManifest, name: "layers"}
	blobs := make([][]byte, len(layers))
	for i, a := range layers {
		d := describe(a.MediaType, a.Blob)
		d.Annotations = a.Annotations
		p.layers.items, blobs[i] = append(p.layers.items, d), a.Blob
	}
	_, err := c.place(ctx, v, p.layers, func(m members, old tagged) error {
		config, err := completeLayers(m, p.subject, old, p.api, nil)
		if err != nil {
			return err
		}
		return c.putBlobs(ctx, c.store(v.subject), append(blobs, config)...)
	})
	if fault.CodeOf(err) == "tag_immutable" {
		p.Refused, p.layers.items = err, nil
		return nil
	}
	return err
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
