package registry

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

type yielder = func(envelope.Candidate, error) bool

// fetch yields the entries of a store, wave by wave, and reports whether the
// caller wants more.
func (v *View) fetch(ctx context.Context, store string, entries []entry, want envelope.Want, yield yielder) bool {
	left := allowance{MaxCandidates, MaxAttestations}
	for _, wave := range arrange(entries, want) {
		cut, all := left.take(wave)
		if !v.wave(ctx, store, cut, want, yield) {
			return false
		}
		if !all {
			return yield(envelope.Candidate{Format: wave[0].format, Store: store}, tooMany(v.subject, store))
		}
	}
	return true
}

// fetched is an entry on its way.
type fetched struct {
	candidate envelope.Candidate
	blob      descriptor
	limit     int64 // of the blob, in bytes
	err       error
	done      chan struct{} // closed when candidate.Blob or err is set
}

// wave fetches entries in parallel and yields them in their order. Blobs are
// fetched ahead only as far as the memory for them goes.
func (v *View) wave(ctx context.Context, store string, entries []entry, want envelope.Want, yield yielder) bool {
	ctx, cancel := context.WithCancel(ctx)
	items := v.open(ctx, store, entries, want)
	ended := make(chan struct{})
	go func() { // owned by wave: it has ended when wave returns
		defer close(ended)
		v.blobs(ctx, items)
	}()
	defer func() { cancel(); <-ended }()
	more := true
	for _, item := range items {
		if more {
			<-item.done
		}
		if more && !errors.Is(item.err, errOther) {
			more = yield(item.candidate, item.err)
		}
		if !more {
			cancel() // what is still on its way is of no use
			<-item.done
		}
		item.candidate.Blob = nil
		if item.held() == maxPending { // larger than a signature: not two of them, dead or alive
			runtime.GC()
		}
		v.client.memory.Release(item.held())
	}
	return more
}

func limitOf(f envelope.Format) int64 {
	switch f {
	case envelope.SimpleSigning:
		return simplesigning.MaxPayload
	case envelope.DSSE:
		return envelope.MaxAttestation
	}
	return MaxBlob
}

// held is what a fetched blob takes of the memory for candidates.
func (f *fetched) held() int64 {
	if f.blob.Size <= 0 || f.blob.Size > f.limit {
		return 0 // it is not fetched
	}
	return min(f.blob.Size, maxPending)
}

// open finds the blob of each entry: for a bundle that takes its manifest.
func (v *View) open(ctx context.Context, store string, entries []entry, want envelope.Want) []*fetched {
	items := make([]*fetched, len(entries))
	var g errgroup.Group
	g.SetLimit(maxInFlight / 4)
	for i, e := range entries {
		items[i] = &fetched{
			candidate: envelope.Candidate{Format: e.format, Store: store, Manifest: e.manifest, MediaType: e.MediaType, Signature: e.signature, Hint: e.Annotations[envelope.KeyHint]},
			blob:      e.descriptor, limit: limitOf(e.format), done: make(chan struct{}),
		}
		if e.format == envelope.Bundle {
			g.Go(func() error { v.bundle(ctx, items[i], want); return nil })
		}
	}
	_ = g.Wait() // each failure is in its item
	return items
}

// blobs fetches the blobs, beginning in their order, so that the one that is
// waited for never waits for the memory of later ones.
func (v *View) blobs(ctx context.Context, items []*fetched) {
	var g errgroup.Group
	g.SetLimit(maxInFlight / 4)
	for _, item := range items {
		if err := v.client.memory.Acquire(ctx, item.held()); err != nil {
			item.blob.Size, item.err = 0, errors.Join(item.err, v.fail(err))
		}
		g.Go(func() error {
			defer close(item.done)
			if item.err == nil {
				item.candidate.Blob, item.err = v.client.blob(ctx, v.client.store(v.subject), item.blob, item.limit)
			}
			return nil
		})
	}
	_ = g.Wait() // each failure is in its item
}

var errOther = errors.New("not a bundle that is wanted")

// bundle reads the manifest of a referrer and finds its bundle.
func (v *View) bundle(ctx context.Context, item *fetched, want envelope.Want) {
	d := item.blob
	item.candidate.Manifest, item.blob = d.Digest, descriptor{}
	if err := image.CheckDigest(d.Digest); err != nil {
		item.err = envelope.Malformed(item.candidate, "%w", err)
		return
	}
	body, presence, err := v.client.byDigest(ctx, v.client.store(v.subject), d.Digest, maxReferrer)
	if err == nil && presence == Absent {
		err = fault.Undecidedf("referrer_missing", "run again; if it stays, sign the image again and keep clean-up rules away from signatures", "%s lists the referrer %s, which the registry does not have", v.subject, d.Digest)
	}
	if err != nil {
		item.err = err
		return
	}
	m, err := parseReferrer(item.candidate, body)
	if err != nil {
		item.err = err
		return
	}
	item.blob, item.candidate.MediaType = m.Layers[0], m.Layers[0].MediaType
	switch t := m.Annotations[bundle.PredicateTypeAnnotation]; {
	case t == envelope.SignaturePredicate:
	case attests(t, want):
		item.limit = envelope.MaxAttestation
	case t != "":
		item.err = errOther // an index by cosign does not say so
	}
}

func parseReferrer(c envelope.Candidate, body []byte) (m manifest, err error) {
	if err := image.CheckManifest(image.Subject{Digest: c.Manifest, MediaType: image.OCIManifest}, body); err != nil {
		return m, envelope.Malformed(c, "%w", err)
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, envelope.Malformed(c, "%w", err)
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(m.Layers[0].MediaType, "application/vnd.dev.sigstore.bundle") {
		return m, errOther
	}
	return m, nil
}
