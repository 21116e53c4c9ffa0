package registry

import (
	"context"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
)

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
