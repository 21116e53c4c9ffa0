package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
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
	return d.Digest, c.update(ctx, s, FallbackTag(s.Digest), image.OCIIndex, func(old members) (bool, error) {
		return addEntry(old, d)
	})
}

// addEntry adds a referrer to a fallback index, and reports false when it is
// there already.
func addEntry(index members, d descriptor) (bool, error) {
	return add(index, "manifests", []descriptor{d}, func(old descriptor) bool { return old.Digest == d.Digest })
}

// add appends items to a list of index or manifest m. It reports false when a
// member of the list is one of them already.
func add(m members, name string, items []descriptor, is func(descriptor) bool) (bool, error) {
	list, err := m.list(name)
	if err != nil {
		return false, err
	}
	for _, raw := range list {
		var d descriptor
		if err := json.Unmarshal(raw, &d); err != nil {
			return false, err
		}
		if is(d) {
			return false, nil
		}
	}
	for _, d := range items {
		raw, err := json.Marshal(d, json.Deterministic(true))
		if err != nil {
			return false, err
		}
		list = append(list, raw)
	}
	return true, m.set(name, list)
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
	tag := SignatureTag(s.Digest)
	err := c.update(ctx, s, tag, image.OCIManifest, func(old members) (bool, error) {
		changed, err := false, error(nil)
		for _, d := range items {
			added, e := add(old, "layers", []descriptor{d}, func(o descriptor) bool { return sameLayer(o, d) })
			if e != nil {
				return false, e
			}
			changed = changed || added
		}
		if changed {
			err = c.putConfig(ctx, s.Repository, old)
		}
		return changed, err
	})
	if err != nil {
		return "", err
	}
	m, _, err := c.Manifest(ctx, s.Repository, tag)
	return m.Digest, err
}

// sameLayer compares payload and signature: two keys may sign one payload.
func sameLayer(a, b descriptor) bool {
	if a.Digest != b.Digest || len(a.Annotations) != len(b.Annotations) {
		return false
	}
	for k, v := range a.Annotations {
		if b.Annotations[k] != v {
			return false
		}
	}
	return true
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

const maxMerges = 8

// update merges entries into the manifest at a tag. It reads, lets edit add
// what is missing, writes, and reads again until edit finds nothing missing:
// the registry has no compare-and-swap, and another writer may have replaced
// what was written.
func (c *Client) update(ctx context.Context, s image.Subject, tag, mediaType string, edit func(members) (bool, error)) error {
	for i := range maxMerges {
		old, mediaType, err := c.readMembers(ctx, s, tag, mediaType)
		if err != nil {
			return err
		}
		changed, err := edit(old)
		switch {
		case err != nil && fault.CodeOf(err) == "internal":
			return malformed(s.Repository, tag, err)
		case err != nil || !changed:
			return err
		}
		if err := c.putMembers(ctx, s, tag, mediaType, old); err != nil {
			return err
		}
		if i > 1 {
			_ = retry.Wait(ctx, rand.N(time.Duration(i)*200*time.Millisecond))
		}
	}
	return fault.Undecidedf("write_lost", "run again, and use a concurrency group so that fewer jobs sign one image at a time",
		"other writers replaced the manifest at %s:%s %d times", s.Repository, tag, maxMerges)
}

func (c *Client) readMembers(ctx context.Context, s image.Subject, tag, mediaType string) (members, string, error) {
	m, found, err := c.Manifest(ctx, s.Repository, tag)
	if err != nil {
		return nil, "", err
	}
	if !found {
		return members{"schemaVersion": jsontext.Value("2"), "mediaType": jsontext.Value(fmt.Sprintf("%q", mediaType))}, mediaType, nil
	}
	err = image.CheckManifest(image.Subject{Repository: s.Repository, Digest: m.Digest, MediaType: m.MediaType}, m.Body)
	if err != nil || image.IsIndex(m.MediaType) != image.IsIndex(mediaType) {
		return nil, "", malformed(s.Repository, tag, fmt.Errorf("its media type is %s: %w", m.MediaType, err))
	}
	old, err := parseMembers(m.Body)
	return old, m.MediaType, err
}

func (c *Client) putMembers(ctx context.Context, s image.Subject, tag, mediaType string, m members) error {
	body, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return err
	}
	return c.putManifest(ctx, s.Repository, tag, mediaType, body)
}
