package registry

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
)

// Attach writes attachments to the subject's repository and returns the
// digests of the manifests that hold them: one for each bundle, one for all
// simple signing layers. Blobs come first and manifests last, so a run that is
// killed leaves nothing that a reader could take for a signature, and can be
// run again. Entries of others are kept.
func (c *Client) Attach(ctx context.Context, s image.Subject, attachments []envelope.Attachment) ([]string, error) {
	var layers []envelope.Attachment
	var digests []string
	for _, a := range attachments {
		if a.Format == envelope.SimpleSigning {
			layers = append(layers, a)
			continue
		}
		digest, err := c.attachReferrer(ctx, s, a)
		if err != nil {
			return digests, err
		}
		digests = append(digests, digest)
	}
	if len(layers) == 0 {
		return digests, nil
	}
	digest, err := c.attachLayers(ctx, s, layers)
	return append(digests, digest), err
}

// CheckFallback returns a refusal when bundles of s would have to be listed at
// a fallback tag that holds something else. Where the registry serves the
// referrers API there is nothing to check.
func (c *Client) CheckFallback(ctx context.Context, s image.Subject) error {
	api, err := c.hasReferrers(ctx, s)
	if err != nil || api {
		return err
	}
	_, _, err = c.readMembers(ctx, s, FallbackTag(s.Digest), image.OCIIndex)
	return err
}

func (c *Client) attachReferrer(ctx context.Context, s image.Subject, a envelope.Attachment) (string, error) {
	api, err := c.hasReferrers(ctx, s)
	if err != nil {
		return "", err
	}
	for _, blob := range [][]byte{emptyBlob, a.Blob} {
		if err := c.putBlob(ctx, s.Repository, blob); err != nil {
			return "", err
		}
	}
	d, body, err := referrer(s, a, time.Now())
	if err != nil {
		return "", err
	}
	if err := c.putManifest(ctx, s.Repository, d.Digest, image.OCIManifest, body); err != nil {
		return "", err
	}
	if api {
		return d.Digest, nil
	}
	_, err = c.update(ctx, s, FallbackTag(s.Digest), merged{mediaType: image.OCIIndex, name: "manifests", items: []descriptor{d}})
	return d.Digest, err
}

func (c *Client) attachLayers(ctx context.Context, s image.Subject, layers []envelope.Attachment) (string, error) {
	var items []descriptor
	for _, a := range layers {
		if err := c.putBlob(ctx, s.Repository, a.Blob); err != nil {
			return "", err
		}
		d := describe(a.MediaType, a.Blob)
		d.Annotations = a.Annotations
		items = append(items, d)
	}
	return c.update(ctx, s, SignatureTag(s.Digest), merged{
		mediaType: image.OCIManifest, name: "layers", items: items,
		prepare: func(m members) error { return c.putConfig(ctx, s.Repository, m) },
	})
}

// putConfig makes and uploads the config of a simple signing manifest: an
// image config that lists the layers.
func (c *Client) putConfig(ctx context.Context, repository string, m members) error {
	list, err := m.list("layers")
	if err != nil {
		return err
	}
	diffIDs := make([]string, len(list))
	for i, raw := range list {
		var d descriptor
		if err := json.Unmarshal(raw, &d); err != nil {
			return err
		}
		diffIDs[i] = d.Digest
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "", "os": "", "created": "0001-01-01T00:00:00Z", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := c.putBlob(ctx, repository, config); err != nil {
		return err
	}
	return m.set("config", describe(configMediaType, config))
}
