package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/memo"
)

// The stores, as reports name them.
const (
	StoreReferrers    = "referrers API"
	StoreFallback     = "fallback tag"
	StoreSignatureTag = "signature tag"

	StoreAttestationTag = "attestation tag"
)

// StoreError is the failure to read a whole store, as opposed to one entry.
type StoreError struct {
	Store string
	Err   error
}

func (e *StoreError) Error() string { return "the " + e.Store + ": " + e.Err.Error() }

// Unwrap returns the cause, which has the outcome and the code.
func (e *StoreError) Unwrap() error { return e.Err }

// View is what a registry lists for one subject, each list as it was when it
// was first asked for. It is safe for concurrent use.
type View struct {
	client    *Client
	subject   image.Subject
	referrers memo.Memo[struct{}, listing]
	tags      memo.Memo[string, tagged]
}

// View returns a view in which nothing is read yet.
func (c *Client) View(s image.Subject) *View { return &View{client: c, subject: s} }

// tagged is what a tag pointed to, and when the registry said so.
type tagged struct {
	Manifest
	presence Presence
	read     time.Time
}

func (v *View) tag(ctx context.Context, tag string) (tagged, error) {
	return v.tags.Do(ctx, tag, func(ctx context.Context) (tagged, error) {
		m, presence, err := v.client.Manifest(ctx, v.client.store(v.subject), tag)
		return tagged{m, presence, time.Now()}, err
	})
}

func (v *View) listing(ctx context.Context) listing {
	l, err := v.referrers.Do(ctx, struct{}{}, func(ctx context.Context) (listing, error) {
		l := v.client.listReferrers(ctx, v.subject)
		return l, l.err
	})
	l.err = err
	return l
}

// Read reads the lists of the formats at the same time, so that later
// questions need not wait for one after the other. Trouble is left to those.
func (v *View) Read(ctx context.Context, formats ...envelope.Format) {
	var g errgroup.Group
	for _, f := range formats {
		g.Go(func() error {
			if k, tagged := cosignTagOf(f); tagged {
				_, _ = v.tag(ctx, k.of(v.subject.Digest))
			} else {
				_, _ = v.bundles(ctx)
			}
			return nil
		})
	}
	_ = g.Wait()
}

// Lists reports whether what is no bundle is attached to the view's subject already:
// whether the list that would be written to has it.
func (v *View) Lists(ctx context.Context, s image.Subject, a envelope.Attachment) (bool, error) {
	want, _, err := referrer(s, a, time.Time{})
	if err != nil {
		return false, err
	}
	list, err := v.bundles(ctx)
	return slices.ContainsFunc(list, func(d descriptor) bool { return d.Digest == want.Digest }), err
}

// bundles returns the list that is written to when a bundle is attached: that
// of the referrers API, or the index at the fallback tag.
func (v *View) bundles(ctx context.Context) ([]descriptor, error) {
	l := v.listing(ctx)
	if l.err != nil || l.support == supported {
		return l.entries, l.err
	}
	return v.fallback(ctx)
}

func (v *View) fallback(ctx context.Context) ([]descriptor, error) {
	tag := FallbackTag(v.subject.Digest)
	t, err := v.tag(ctx, tag)
	other := t.Digest == v.subject.Digest || image.IsManifest(t.MediaType) && !image.IsIndex(t.MediaType)
	if err != nil || t.presence != Found || other {
		return nil, err // cosign copy puts the image itself at this tag: that lists no referrers
	}
	return parseIndex(v.client.store(v.subject), tag, t.MediaType, t.Body)
}

// at returns the manifest at one of cosign's tags, one without layers where the
// registry says that there is none.
func (v *View) at(ctx context.Context, k cosignTag) (m manifest, digest string, err error) {
	tag := k.of(v.subject.Digest)
	t, err := v.tag(ctx, tag)
	if err != nil || t.presence != Found {
		return m, "", err
	}
	m, err = parseSignatures(v.client.store(v.subject), tag, t.Manifest)
	return m, t.Digest, err
}

func parseSignatures(repository, what string, raw Manifest) (m manifest, err error) {
	if err := image.CheckManifest(image.Subject{Repository: repository, Digest: raw.Digest, MediaType: raw.MediaType}, raw.Body); err != nil {
		return manifest{}, malformed(repository, what, err)
	}
	if err := json.Unmarshal(raw.Body, &m); err != nil {
		return manifest{}, malformed(repository, what, err)
	}
	if image.IsIndex(raw.MediaType) || m.Config.Digest == "" {
		return manifest{}, malformed(repository, what, errors.New("it is no image manifest"))
	}
	return m, nil
}
