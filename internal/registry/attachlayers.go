package registry

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

func (c *Client) attachLayers(ctx context.Context, v *View, p *Placed, t *placedTag, layers []envelope.Attachment) error {
	blobs := make([][]byte, len(layers))
	for i, a := range layers {
		d := describe(a.MediaType, a.Blob)
		d.Annotations = a.Annotations
		t.layers.items, blobs[i] = append(t.layers.items, d), a.Blob
	}
	var err error
	if t.wrote, err = c.placeLayers(ctx, v, p, t, t.layers, blobs, nil); err != nil {
		return err
	}
	if known, _ := v.support(ctx); known == supportUnknown && !p.api {
		return c.probe(ctx, p)
	}
	return nil
}

// placeLayers adds layers to one of cosign's tags, whose blobs it uploads, and
// reports whether it has written. A tag that cannot be replaced is noted and is
// no error.
func (c *Client) placeLayers(ctx context.Context, v *View, p *Placed, t *placedTag, l merged, blobs [][]byte, merges []string) (wrote bool, err error) {
	_, wrote, err = c.place(ctx, v, l, func(m members, old tagged) error {
		config, err := completeLayers(t.cosignTag, m, p.subject, old, l.referrer, merges)
		if err != nil {
			return malformed(l.repository, l.tag, err)
		}
		return c.putBlobs(ctx, l.repository, append(slices.Clone(blobs), config)...)
	})
	if fault.CodeOf(err) == "tag_immutable" {
		t.refused, t.layers = err, merged{}
		return false, nil
	}
	return wrote, err
}

// completeLayers adds to a manifest at one of cosign's tags what follows from its
// layers, and returns its config, an image config that lists them. Where the
// registry serves the referrers API the manifest is a referrer, so that a
// version of the tag that another writer replaces stays listed.
func completeLayers(k cosignTag, m members, s image.Subject, old tagged, api bool, merges []string) ([]byte, error) {
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
		err = m.setVersion(k, s, old, merges)
	}
	return config, err
}
