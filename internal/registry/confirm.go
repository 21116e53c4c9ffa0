package registry

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
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
	for round := range maxMerges {
		v := c.View(p.subject)
		v.Read(ctx, p.formats...)
		done, err := c.confirm(ctx, v, p, round)
		if err != nil {
			return v, err
		}
		if done {
			p.note(ctx, v)
			c.tidy(ctx, v, p)
			return v, nil
		}
	}
	return nil, c.writeLost(p.lists()[len(p.tags)])
}

// lists returns what the fallback tag and cosign's tags have to hold.
func (p *Placed) lists() []merged {
	out := []merged{p.index}
	for _, t := range p.tags {
		out = append(out, t.layers)
	}
	return out
}

// note adds the manifests at cosign's tags to what was written, and the tags
// that could not be.
func (p *Placed) note(ctx context.Context, v *View) {
	p.noteRefused()
	for _, placed := range p.tags {
		if !placed.wrote {
			continue
		}
		if t, err := v.tag(ctx, placed.of(p.subject.Digest)); err == nil && t.presence == Found {
			p.Written = append(p.Written, t.Digest)
		}
	}
}

func (c *Client) confirm(ctx context.Context, v *View, p *Placed, round int) (done bool, err error) {
	if p.api {
		return c.confirmListed(ctx, v, p, round)
	}
	lost, err := c.lost(ctx, v, p.lists()...)
	if err != nil || len(lost) == 0 {
		return len(lost) == 0, err
	}
	return false, c.again(ctx, p, lost)
}

// maxRelist is how often manifests are pushed again, and asked for again, that
// a registry with a referrers API does not list or lists and does not have.
const maxRelist = 4

// confirmListed is confirm with the referrers API.
func (c *Client) confirmListed(ctx context.Context, v *View, p *Placed, round int) (done bool, err error) {
	merged, absent := false, false
	for _, t := range p.tags {
		wrote, gone, err := c.mergeVersions(ctx, v, p, t)
		if err != nil {
			return false, err
		}
		merged, absent = merged || wrote, absent || gone
	}
	unlisted := v.unlisted(ctx, p)
	lagging := len(unlisted) > 0 || absent
	switch {
	case !merged && (!lagging || round >= maxRelist):
		return true, nil
	case merged && round == 0:
		return false, nil
	}
	wait := 50*time.Millisecond<<min(round, maxRelist) + rand.N(100*time.Millisecond)
	if err := retry.Wait(ctx, wait); err != nil || round >= maxRelist {
		return false, err
	}
	return false, c.relist(ctx, p.subject, unlisted)
}

// mergeVersions writes what listed versions have and the tag has not, and
// reports whether there was anything, and whether a listed version is absent.
func (c *Client) mergeVersions(ctx context.Context, v *View, p *Placed, t *placedTag) (wrote, absent bool, err error) {
	if t.layers.tag == "" {
		return false, false, nil
	}
	others, err := v.overwritten(ctx, t.cosignTag)
	if err != nil {
		return false, false, err
	}
	l := t.layers
	l.items = append(slices.Clone(l.items), others.layers...)
	wrote, err = c.placeLayers(ctx, v, p, t, l, nil, others.from)
	t.wrote = t.wrote || wrote
	return wrote, others.absent, err
}

// unlisted returns the manifests of this run, and the versions at cosign's
// tags, that the referrers API does not list. Some registries take a moment,
// and some lose one of two referrers that are pushed at the same time.
func (v *View) unlisted(ctx context.Context, p *Placed) map[string][]byte {
	out := maps.Clone(p.bundles)
	for _, placed := range p.tags {
		if placed.layers.tag == "" {
			continue
		}
		if t, err := v.tag(ctx, placed.layers.tag); err == nil && t.presence == Found && t.MediaType == image.OCIManifest {
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
		if err := c.putManifest(ctx, c.store(s), digest, image.OCIManifest, body); err != nil {
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
		_, missing, err := l.extend(t)
		if err != nil {
			return nil, err
		}
		if missing {
			out = append(out, l)
		}
	}
	return out, nil
}

// placed returns what a tag of cosign's has to hold, and nil for another tag.
func (p *Placed) placed(tag string) *placedTag {
	for _, t := range p.tags {
		if t.layers.tag == tag {
			return t
		}
	}
	return nil
}

// again writes lists another time: after a random wait, so that writers who
// were in each other's way come apart, and then with the time to settle.
func (c *Client) again(ctx context.Context, p *Placed, lists []merged) error {
	if err := retry.Wait(ctx, rand.N(max(c.opts.Settle, 50*time.Millisecond))); err != nil {
		return err
	}
	v := c.View(p.subject)
	for _, l := range lists {
		var err error
		if t := p.placed(l.tag); t != nil {
			_, err = c.placeLayers(ctx, v, p, t, l, nil, nil)
		} else {
			_, _, err = c.place(ctx, v, l, nil)
		}
		if err != nil {
			return err
		}
	}
	return retry.Wait(ctx, c.opts.Settle)
}
