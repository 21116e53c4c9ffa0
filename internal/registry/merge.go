package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
)

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
