package registry

import (
	"context"
	"net/http"
	"slices"

	"github.com/signgate/signgate/internal/image"
)

// tidy deletes the fallback index that was replaced, if the registry lets it.
// Nothing depends on that, so nothing comes of a failure. What might be more
// than an old index stays.
func (c *Client) tidy(ctx context.Context, v *View, p *Placed) {
	h := c.host(c.store(p.subject))
	if p.old.presence != Found || p.old.Digest == p.subject.Digest || h.noDelete.Load() {
		return
	}
	now, err := v.tag(ctx, FallbackTag(p.subject.Digest))
	if err != nil || now.presence != Found || now.Digest == p.old.Digest || !replaces(p.subject, now, p.old) {
		return
	}
	_, err = c.once(ctx, request{
		repository: c.store(p.subject), push: true, method: http.MethodDelete, path: "manifests/" + p.old.Digest,
		limit: 1 << 16, accept: []int{200, 202, 404},
	})
	if err != nil {
		h.noDelete.Store(true)
	}
}

// replaces reports whether the index now lists everything that old does, and
// old lists nothing but referrers.
func replaces(s image.Subject, now, old tagged) bool {
	index := fallbackIndex(s)
	m, err := index.open(s, now)
	if err != nil {
		return false
	}
	have, err := m.descriptors("manifests")
	if err != nil {
		return false
	}
	list, err := parseIndex(s, old.Digest, old.MediaType, old.Body)
	return err == nil && !slices.ContainsFunc(list, func(d descriptor) bool {
		return d.Platform != nil || !slices.ContainsFunc(have, d.same)
	})
}
