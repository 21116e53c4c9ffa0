package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// merged is a list in the manifest at a tag, which several writers add to.
type merged struct {
	repository string
	tag        string
	subject    image.Subject
	mediaType  string // of a new manifest
	name       string // of the list
	items      []descriptor
	referrer   bool // the manifest has to be a referrer of the subject
}

func (c *Client) fallbackIndex(s image.Subject, items ...descriptor) merged {
	return merged{repository: c.store(s), tag: FallbackTag(s.Digest), subject: s, mediaType: image.OCIIndex, name: "manifests", items: items}
}

func (c *Client) layers(k cosignTag, s image.Subject, referrer bool, items ...descriptor) merged {
	return merged{repository: c.store(s), tag: k.of(s.Digest), subject: s, mediaType: image.OCIManifest, name: "layers", items: items, referrer: referrer}
}

// extend returns what is at the list's tag with the items of the list that
// were missing, and reports whether it has to be written. What is there stays
// as it is.
func (l merged) extend(t tagged) (m members, changed bool, err error) {
	if m, err = l.open(t); err != nil {
		return nil, false, err
	}
	if changed, err = l.add(m); err != nil {
		return nil, false, malformed(l.repository, l.tag, err)
	}
	list, err := m.list(l.name)
	if err != nil {
		return nil, false, malformed(l.repository, l.tag, err)
	}
	if changed && l.name == "layers" && len(list) > maxLayers {
		return nil, false, fault.Undecidedf("limit_exceeded", "delete entries that are not needed", "%s would get %d entries at the tag %s, and readers stop at %d", l.subject, len(list), l.tag, maxLayers)
	}
	plain := l.referrer && t.presence == Found && t.MediaType == image.OCIManifest && m["subject"] == nil
	return m, changed || plain, nil
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
	if added {
		m.setList(l.name, list)
	}
	return added, nil
}

// same compares what it is, content and annotations: two keys may sign one
// payload.
func (d descriptor) same(o descriptor) bool {
	return d.Digest == o.Digest && d.MediaType == o.MediaType && d.Size == o.Size && maps.Equal(d.Annotations, o.Annotations)
}

// open returns the members of what is at the list's tag, or of a new manifest
// where the registry says that there is none.
func (l merged) open(t tagged) (members, error) {
	if t.presence == Absent {
		return members{"schemaVersion": jsontext.Value("2"), "mediaType": jsontext.Value(`"` + l.mediaType + `"`)}, nil
	}
	err := image.CheckManifest(image.Subject{Repository: l.repository, Digest: t.Digest, MediaType: t.MediaType}, t.Body)
	switch {
	case err != nil:
	case image.IsIndex(t.MediaType) != image.IsIndex(l.mediaType):
		err = fmt.Errorf("its media type is %s, not %s", t.MediaType, l.mediaType)
	case t.Digest == l.subject.Digest:
		err = errors.New("it is the image itself")
	}
	if err != nil {
		return nil, malformed(l.repository, l.tag, err)
	}
	m, err := parseMembers(t.Body)
	if err != nil {
		return nil, malformed(l.repository, l.tag, err)
	}
	return m, nil
}
