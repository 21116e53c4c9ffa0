package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// maxMerges is how often a writer merges again what others have replaced.
const maxMerges = 16

// place adds a list to what is at its tag, completed by complete, and returns
// what it replaced and whether it has written. Each reading is written by once
// and at once: when a write has to wait for its turn, or failed in a way that
// may pass, another writer may have been there, and the tag is read again.
func (c *Client) place(ctx context.Context, v *View, l merged, complete func(members, tagged) error) (old tagged, wrote bool, err error) {
	old, err = v.tag(ctx, l.tag)
	for attempt := 1; err == nil && attempt <= maxMerges; attempt++ {
		m, changed, err := l.extend(old)
		if err == nil && changed && complete != nil {
			err = complete(m, old)
		}
		if err != nil || !changed {
			return old, false, err
		}
		err = c.write(ctx, v, l, old, m)
		if err == nil || !errors.Is(err, errStale) && !c.opts.Retry.Again(ctx, attempt, err) {
			return old, err == nil, err
		}
		if old, err = c.View(v.subject).tag(ctx, l.tag); err != nil {
			return old, false, err
		}
	}
	if err == nil {
		err = c.writeLost(l)
	}
	return old, false, err
}

var errStale = errors.New("the tag was read too long ago")

// maxReading is how old a reading may be that is written by. Where a version
// that is overwritten leaves no trace, half of Settle counts in its place.
const maxReading = time.Second

func (c *Client) stale(v *View, t tagged) bool {
	limit := maxReading
	if known, _ := c.host(c.store(v.subject)).referrers.Get(struct{}{}); known != supported && c.opts.Settle > 0 {
		limit = c.opts.Settle / 2
	}
	return time.Since(t.read) > limit
}

// write puts m under the list's tag, in one attempt, unless the reading old is
// too old when it is this writer's turn.
func (c *Client) write(ctx context.Context, v *View, l merged, old tagged, m members) error {
	body, mediaType := m.bytes(), l.mediaType
	if len(body) > MaxManifest {
		return tooLarge(l.repository, "the manifest for the tag "+l.tag, MaxManifest)
	}
	if old.presence == Found {
		mediaType = old.MediaType
	}
	var a answer
	once := c.opts.Retry
	once.Attempts = 1
	err := c.repeat(ctx, once, l.repository, true, "writing "+l.repository+":"+l.tag, func(ctx context.Context) (err error) {
		if c.stale(v, old) {
			return errStale
		}
		a, err = c.once(ctx, manifestPut(l.repository, l.tag, mediaType, body))
		return err
	})
	if err != nil {
		return c.immutable(ctx, l, old, a, err)
	}
	c.content.put(body)
	if m["subject"] == nil { // a writer that does not see this may replace it without a trace
		c.mu.Lock()
		c.lastSlow = time.Now()
		c.mu.Unlock()
	}
	return nil
}

// immutable returns what the refusal to write a tag means: a registry that has
// taken blobs, and refuses to replace a tag for good, does not let it be
// replaced.
func (c *Client) immutable(ctx context.Context, l merged, old tagged, a answer, err error) error {
	if fault.IsTransient(err) || !slices.Contains([]int{400, 403, 405, 409, 412, 422}, a.status) {
		return err
	}
	there := old.presence
	if there == Absent { // another writer may have been first
		_, there, _ = c.Resolve(ctx, l.repository, l.tag)
	}
	if there != Found {
		return err
	}
	return fault.Undecidedf("tag_immutable", "exempt the tags sha256-* from the registry's immutability, use formats: bundle, or set signature-repository",
		"the registry does not let the tag %s:%s be replaced (%d %s %s)", l.repository, l.tag, a.status, http.StatusText(a.status), errorCode(a.body))
}

func (c *Client) writeLost(l merged) error {
	return fault.Undecidedf("write_lost", "run again, and use a concurrency group so that fewer jobs sign one image at a time",
		"other writers replaced the manifest at %s:%s %d times", l.repository, l.tag, maxMerges)
}
