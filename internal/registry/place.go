package registry

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// maxMerges is how often a writer merges again what others have replaced.
const maxMerges = 16

// place adds a list to what is at its tag, completed by complete, and returns
// what it replaced. A tag that was read too long ago to be written, because
// another writer may have been there, is read again.
func (c *Client) place(ctx context.Context, v *View, l merged, complete func(members, tagged) error) (tagged, error) {
	old, err := v.tag(ctx, l.tag)
	for range maxMerges {
		if err != nil {
			return old, err
		}
		m, added, err := l.extend(v.subject, old)
		if err != nil || !added {
			return old, err
		}
		if complete != nil {
			if err := complete(m, old); err != nil {
				return old, err
			}
		}
		now := old
		if c.stale(v, old) {
			if now, err = c.View(v.subject).tag(ctx, l.tag); err != nil {
				return old, err
			}
		}
		if now.Digest == old.Digest {
			return old, c.write(ctx, v.subject, l, old, m)
		}
		old = now
	}
	return old, writeLost(v.subject, l.tag)
}

// stale reports whether the reading of a tag is too old to write by: half of
// Settle. Where versions stay listed that does not matter.
func (c *Client) stale(v *View, t tagged) bool {
	known, _ := c.host(c.store(v.subject)).referrers.Get(struct{}{})
	return known != supported && c.opts.Settle > 0 && time.Since(t.asked) > c.opts.Settle/2
}

// immutable reports whether a registry that has taken blobs and then answers
// so to the replacing of a tag means that the tag cannot be replaced.
func immutable(status int) bool {
	return slices.Contains([]int{400, 403, 405, 409, 412, 422}, status)
}

func tagImmutable(repository, tag string, a answer) error {
	return fault.Undecidedf("tag_immutable", "exempt the tags sha256-* from the registry's immutability, use formats: bundle, or set signature-repository",
		"the registry does not let the tag %s:%s be replaced (%d %s %s)", repository, tag, a.status, http.StatusText(a.status), errorCode(a.body))
}

func writeLost(s image.Subject, tag string) error {
	return fault.Undecidedf("write_lost", "run again, and use a concurrency group so that fewer jobs sign one image at a time",
		"other writers replaced the manifest at %s:%s %d times", s.Repository, tag, maxMerges)
}
