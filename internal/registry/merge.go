package registry

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
)

const maxMerges = 8

// update merges entries into the list of the manifest at a tag, and returns
// the digest that the tag then has. It reads, adds what is missing, writes, and
// reads again until nothing is missing: the registry has no compare-and-swap,
// and another writer may have replaced what was written.
func (c *Client) update(ctx context.Context, s image.Subject, tag string, l merged) (string, error) {
	for i := range maxMerges {
		old, at, err := c.readMembers(ctx, s, tag, l.mediaType)
		if err != nil {
			return "", err
		}
		added, err := l.add(old)
		if err != nil {
			return "", malformed(s.Repository, tag, err)
		}
		if !added {
			return at.Digest, nil
		}
		if err := c.putMembers(ctx, s, tag, at.MediaType, old, l.prepare); err != nil {
			return "", err
		}
		if i > 1 {
			_ = retry.Wait(ctx, rand.N(time.Duration(i)*200*time.Millisecond))
		}
	}
	return "", fault.Undecidedf("write_lost", "run again, and use a concurrency group so that fewer jobs sign one image at a time",
		"other writers replaced the manifest at %s:%s %d times", s.Repository, tag, maxMerges)
}

// merged is a list in a manifest that several writers add to.
type merged struct {
	mediaType string // of a new manifest
	name      string // of the list
	items     []descriptor
	prepare   func(members) error // completes a manifest whose list has grown; may be nil
}

// add appends the items that the list does not have, and reports whether there
// were any. What is there stays as it is.
func (l merged) add(m members) (added bool, err error) {
	list, err := m.list(l.name)
	if err != nil {
		return false, err
	}
	have := make([]descriptor, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &have[i]); err != nil {
			return false, err
		}
	}
	for _, d := range l.items {
		if slices.ContainsFunc(have, d.same) {
			continue
		}
		raw, err := json.Marshal(d, json.Deterministic(true))
		if err != nil {
			return false, err
		}
		list, added = append(list, raw), true
	}
	return added, m.set(l.name, list)
}

// same compares content and annotations: two keys may sign one payload.
func (d descriptor) same(o descriptor) bool {
	return d.Digest == o.Digest && maps.Equal(d.Annotations, o.Annotations)
}

// readMembers returns the manifest at a tag, or a new one of the media type
// where the registry says that there is none.
func (c *Client) readMembers(ctx context.Context, s image.Subject, tag, mediaType string) (members, Manifest, error) {
	m, found, err := c.Manifest(ctx, s.Repository, tag)
	if err != nil {
		return nil, m, err
	}
	if !found {
		return members{"schemaVersion": jsontext.Value("2"), "mediaType": jsontext.Value(`"` + mediaType + `"`)}, Manifest{MediaType: mediaType}, nil
	}
	err = image.CheckManifest(image.Subject{Repository: s.Repository, Digest: m.Digest, MediaType: m.MediaType}, m.Body)
	if err != nil {
		return nil, m, malformed(s.Repository, tag, err)
	}
	if image.IsIndex(m.MediaType) != image.IsIndex(mediaType) {
		return nil, m, malformed(s.Repository, tag, fmt.Errorf("its media type is %s, not %s", m.MediaType, mediaType))
	}
	old, err := parseMembers(m.Body)
	return old, m, err
}

func (c *Client) putMembers(ctx context.Context, s image.Subject, tag, mediaType string, m members, prepare func(members) error) error {
	if prepare != nil {
		if err := prepare(m); err != nil {
			return err
		}
	}
	body, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return err
	}
	return c.putManifest(ctx, s.Repository, tag, mediaType, body)
}
