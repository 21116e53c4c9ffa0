package registry

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
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

// Settle waits until every tag that this run has written, and that another
// writer may have replaced unseen, was left alone for Options.Settle. It is
// called once, after the last Attach.
func (c *Client) Settle(ctx context.Context) error {
	c.mu.Lock()
	last := c.lastSlow
	c.mu.Unlock()
	if last.IsZero() {
		return nil
	}
	return retry.Wait(ctx, time.Until(last.Add(c.opts.Settle)))
}

// Confirm reads again what is listed for a subject and merges what other
// writers have dropped, until nothing is missing. It returns the view in which
// nothing was missing.
//
// With the referrers API a dropped version stays listed, and nothing is lost.
// Without it the guarantee holds among writers that wait for Settle, as long
// as a write takes effect within half of it; see docs/registries.md.
func (c *Client) Confirm(ctx context.Context, p *Placed) (*View, error) {
	for i := range maxMerges {
		v := c.View(p.subject)
		v.Read(ctx, p.formats...)
		done, err := c.confirm(ctx, v, p, i)
		if err != nil {
			return v, err
		}
		if done {
			p.note(ctx, v)
			c.tidy(ctx, v, p)
			return v, nil
		}
	}
	return nil, writeLost(p.subject, SignatureTag(p.subject.Digest))
}

// note adds the manifest at the signature tag to what was written.
func (p *Placed) note(ctx context.Context, v *View) {
	if len(p.layers.items) == 0 {
		return
	}
	if t, err := v.tag(ctx, p.layers.tag); err == nil && t.presence == Found {
		p.Written = append(p.Written, t.Digest)
	}
}

func (c *Client) confirm(ctx context.Context, v *View, p *Placed, round int) (done bool, err error) {
	if p.api {
		return c.confirmListed(ctx, v, p, round)
	}
	lost, err := c.lost(ctx, v, p.index, p.layers)
	if err != nil || len(lost) == 0 {
		return len(lost) == 0, err
	}
	return false, c.again(ctx, p, lost)
}

// maxRelist is how often manifests are pushed again that a registry with a
// referrers API does not list.
const maxRelist = 4

// confirmListed is confirm with the referrers API.
func (c *Client) confirmListed(ctx context.Context, v *View, p *Placed, round int) (done bool, err error) {
	done = true
	if len(p.layers.items) > 0 {
		done, err = c.mergeVersions(ctx, v, p.layers)
	}
	if err != nil {
		return false, err
	}
	unlisted := v.unlisted(ctx, p)
	switch {
	case len(unlisted) > 0 && round < maxRelist:
		done = false
	case done:
		return true, nil
	case round == 0:
		return false, nil
	}
	wait := 50*time.Millisecond<<min(round, maxRelist) + rand.N(100*time.Millisecond)
	if err := retry.Wait(ctx, wait); err != nil || round >= maxRelist {
		return false, err
	}
	return false, c.relist(ctx, p.subject, unlisted)
}

// unlisted returns the manifests of this run, and the version at the signature
// tag, that the referrers API does not list. Some registries take a moment,
// and some lose one of two referrers that are pushed at the same time.
func (v *View) unlisted(ctx context.Context, p *Placed) map[string][]byte {
	out := maps.Clone(p.bundles)
	if len(p.layers.items) > 0 {
		if t, err := v.tag(ctx, p.layers.tag); err == nil && t.presence == Found && t.MediaType == image.OCIManifest {
			out[t.Digest] = t.Body
		}
	}
	for _, d := range v.listing(ctx).entries {
		delete(out, d.Digest)
	}
	return out
}

// relist pushes manifests again, by their digests.
func (c *Client) relist(ctx context.Context, s image.Subject, manifests map[string][]byte) error {
	for digest, body := range manifests {
		if _, err := c.putManifest(ctx, c.store(s), digest, image.OCIManifest, body); err != nil {
			return err
		}
	}
	return nil
}

// lost returns the lists that lack something at their tags.
func (c *Client) lost(ctx context.Context, v *View, lists ...merged) (out []merged, err error) {
	for _, l := range lists {
		if len(l.items) == 0 {
			continue
		}
		t, err := v.tag(ctx, l.tag)
		if err != nil {
			return nil, err
		}
		_, missing, err := l.extend(v.subject, t)
		if err != nil {
			return nil, err
		}
		if missing {
			out = append(out, l)
		}
	}
	return out, nil
}

// again writes lists another time: after a random wait, so that writers who
// were in each other's way come apart, and then with the time to settle.
func (c *Client) again(ctx context.Context, p *Placed, lists []merged) error {
	if err := retry.Wait(ctx, rand.N(max(c.opts.Settle, 50*time.Millisecond))); err != nil {
		return err
	}
	v := c.View(p.subject)
	for _, l := range lists {
		_, err := c.place(ctx, v, l, func(m members, old tagged) error {
			if l.name != "layers" {
				return nil
			}
			config, err := completeLayers(m, p.subject, old, false, nil)
			if err != nil {
				return err
			}
			return c.putBlobs(ctx, c.store(p.subject), config)
		})
		if err != nil {
			return err
		}
	}
	return retry.Wait(ctx, c.opts.Settle)
}

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
