package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/image"
)

// merged is a list in a manifest that several writers add to.
type merged struct {
	tag       string
	mediaType string // of a new manifest
	name      string // of the list
	items     []descriptor
}

// extend returns what is at the list's tag with the items of the list that
// were missing, and reports whether there were any. What is there stays as it
// is.
func (l merged) extend(s image.Subject, t tagged) (m members, added bool, err error) {
	if m, err = l.open(s, t); err != nil {
		return nil, false, err
	}
	if added, err = l.add(m); err != nil {
		return nil, false, malformed(s.Repository, l.tag, err)
	}
	return m, added, nil
}

func (l merged) add(m members) (added bool, err error) {
	list, err := m.list(l.name)
	if err != nil {
		return false, err
	}
	have, err := m.descriptors(l.name)
	if err != nil {
		return false, err
	}
	for _, d := range l.items {
		if slices.ContainsFunc(have, d.same) {
			continue
		}
		raw, err := d.raw()
		if err != nil {
			return false, err
		}
		list, have, added = append(list, raw), append(have, d), true
	}
	if !added {
		return false, nil
	}
	m.setList(l.name, list)
	return true, nil
}

// same compares content and annotations: two keys may sign one payload.
func (d descriptor) same(o descriptor) bool {
	return d.Digest == o.Digest && maps.Equal(d.Annotations, o.Annotations)
}

// open returns the members of what is at the list's tag, or of a new manifest
// where the registry says that there is none.
func (l merged) open(s image.Subject, t tagged) (members, error) {
	if t.presence == Absent {
		return members{"schemaVersion": jsontext.Value("2"), "mediaType": jsontext.Value(`"` + l.mediaType + `"`)}, nil
	}
	err := image.CheckManifest(image.Subject{Repository: s.Repository, Digest: t.Digest, MediaType: t.MediaType}, t.Body)
	switch {
	case err != nil:
	case image.IsIndex(t.MediaType) != image.IsIndex(l.mediaType):
		err = fmt.Errorf("its media type is %s, not %s", t.MediaType, l.mediaType)
	case t.Digest == s.Digest:
		err = errors.New("it is the image itself")
	}
	if err != nil {
		return nil, malformed(s.Repository, l.tag, err)
	}
	m, err := parseMembers(t.Body)
	if err != nil {
		return nil, malformed(s.Repository, l.tag, err)
	}
	return m, nil
}

// write puts m under the list's tag.
func (c *Client) write(ctx context.Context, s image.Subject, l merged, old tagged, m members) error {
	mediaType := l.mediaType
	if old.presence == Found {
		mediaType = old.MediaType
	}
	a, err := c.putManifest(ctx, c.store(s), l.tag, mediaType, m.bytes())
	if err != nil && old.presence == Found && immutable(a.status) {
		return tagImmutable(c.store(s), l.tag, a)
	}
	if err == nil && l.risky(m) {
		c.mu.Lock()
		c.lastSlow = time.Now()
		c.mu.Unlock()
	}
	return err
}

// risky reports whether a writer that does not see m may replace it without
// leaving a trace.
func (l merged) risky(m members) bool { return m["subject"] == nil }
