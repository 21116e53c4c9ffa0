package registry

import (
	"context"
	"net/http"
	"slices"

	"github.com/signgate/signgate/internal/fault"
)

// tidy deletes the fallback index that was replaced, if the registry lets it.
// Nothing depends on that, so nothing comes of a failure. What might be more
// than an old index stays.
func (c *Client) tidy(ctx context.Context, v *View, p *Placed) {
	h := c.host(c.store(p.subject))
	if p.old.presence != Found || p.old.Digest == p.subject.Digest || h.noDelete.Load() {
		return
	}
	now, err := v.tag(ctx, p.index.tag)
	if err != nil || now.presence != Found || now.Digest == p.old.Digest || !p.index.replaces(now, p.old) {
		return
	}
	once := c.opts.Retry
	once.Attempts = 1
	err = c.repeat(ctx, once, p.index.repository, true, "deleting an old index", func(ctx context.Context) error {
		_, err := c.once(ctx, request{
			repository: p.index.repository, push: true, method: http.MethodDelete, path: "manifests/" + p.old.Digest,
			limit: 1 << 16, accept: []int{200, 202, 404},
		})
		return err
	})
	if err != nil && !fault.IsTransient(err) {
		h.noDelete.Store(true)
	}
}

// replaces reports whether the index now lists everything that old does, and
// old lists referrers and nothing else. An empty one may be that of another
// image as well.
func (l merged) replaces(now, old tagged) bool {
	m, err := l.open(now)
	if err != nil {
		return false
	}
	have, err := m.descriptors(l.name)
	if err != nil {
		return false
	}
	list, err := parseIndex(l.repository, old.Digest, old.MediaType, old.Body)
	return err == nil && len(list) > 0 && !slices.ContainsFunc(list, func(d descriptor) bool {
		return d.Platform != nil || !slices.ContainsFunc(have, d.same)
	})
}
