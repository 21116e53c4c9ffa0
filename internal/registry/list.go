package registry

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// The limits of a list.
const (
	MaxCandidates = 64 // envelopes fetched from one store
	maxPages      = 20 // pages of the referrers API
	maxEntries    = 5000
)

// The stores, as reports name them.
const (
	StoreReferrers    = "referrers API"
	StoreFallback     = "fallback tag"
	StoreSignatureTag = "signature tag"
)

// StoreError is the failure to read a whole store, as opposed to one entry.
type StoreError struct {
	Store string
	Err   error
}

func (e *StoreError) Error() string { return "the " + e.Store + ": " + e.Err.Error() }

// Unwrap returns the cause, which has the outcome and the code.
func (e *StoreError) Unwrap() error { return e.Err }

// Candidates yields the signatures that are attached to s in the referrers
// API, at the fallback tag and at the signature tag, newest first within a
// store, and an error for each store (StoreError) and each entry that could
// not be read. It reads on only while the caller asks for more. A store that
// the registry says is absent yields nothing.
func (c *Client) Candidates(ctx context.Context, s image.Subject) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		seen := map[string]bool{}
		for _, store := range []string{StoreReferrers, StoreFallback} {
			list, err := c.entries(ctx, s, store)
			if err != nil && !yield(envelope.Candidate{Store: store}, &StoreError{store, err}) {
				return
			}
			if !c.bundles(ctx, s, store, list, seen, yield) {
				return
			}
		}
		c.layers(ctx, s, yield)
	}
}

type yielder = func(envelope.Candidate, error) bool

// bundles fetches the bundles that a store lists.
func (c *Client) bundles(ctx context.Context, s image.Subject, store string, list []descriptor, seen map[string]bool, yield yielder) bool {
	fetched := 0
	for _, d := range slices.Backward(list) {
		if seen[d.Digest] || !d.isBundle(envelope.SignaturePredicate) {
			continue
		}
		seen[d.Digest] = true
		if fetched++; fetched > MaxCandidates {
			return yield(envelope.Candidate{Format: envelope.Bundle, Store: store}, tooMany(s, store))
		}
		candidate, err := c.bundle(ctx, s, store, d)
		if errors.Is(err, errOther) {
			continue
		}
		if !yield(candidate, err) {
			return false
		}
	}
	return true
}

var errOther = errors.New("not a bundle")

func (c *Client) bundle(ctx context.Context, s image.Subject, store string, d descriptor) (envelope.Candidate, error) {
	candidate := envelope.Candidate{Format: envelope.Bundle, Store: store, Manifest: d.Digest}
	if err := image.CheckDigest(d.Digest); err != nil {
		return candidate, envelope.Malformed(candidate, "%w", err)
	}
	raw, found, err := c.Manifest(ctx, s.Repository, d.Digest)
	if err != nil {
		return candidate, err
	}
	if !found {
		return candidate, fault.Undecidedf("referrer_missing", "run again; if it stays, sign the image again and keep clean-up rules away from signatures", "%s lists the referrer %s, which the registry does not have", s, d.Digest)
	}
	var m manifest
	if err := json.Unmarshal(raw.Body, &m); err != nil {
		return candidate, envelope.Malformed(candidate, "%w", err)
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(m.Layers[0].MediaType, "application/vnd.dev.sigstore.bundle") {
		return candidate, errOther
	}
	candidate.MediaType = m.Layers[0].MediaType
	candidate.Blob, err = c.blob(ctx, s.Repository, m.Layers[0], MaxBlob)
	return candidate, err
}

// layers fetches the simple signing payloads at the signature tag.
func (c *Client) layers(ctx context.Context, s image.Subject, yield yielder) {
	candidate := envelope.Candidate{Format: envelope.SimpleSigning, Store: StoreSignatureTag}
	m, err := c.signatureManifest(ctx, s)
	if err != nil {
		yield(candidate, &StoreError{StoreSignatureTag, err})
		return
	}
	for i, d := range slices.Backward(m.Layers) {
		if len(m.Layers)-i > MaxCandidates {
			yield(candidate, tooMany(s, StoreSignatureTag))
			return
		}
		candidate.Manifest, candidate.MediaType, candidate.Signature = m.digest, d.MediaType, d.Annotations[simplesigning.SignatureAnnotation]
		candidate.Blob, err = c.blob(ctx, s.Repository, d, simplesigning.MaxPayload)
		if !yield(candidate, err) {
			return
		}
	}
}

// signatureManifest is the manifest at the signature tag, empty where the
// registry says that there is none.
type signatureManifest struct {
	manifest
	digest string
}

func (c *Client) signatureManifest(ctx context.Context, s image.Subject) (signatureManifest, error) {
	tag := SignatureTag(s.Digest)
	raw, found, err := c.Manifest(ctx, s.Repository, tag)
	if err != nil || !found {
		return signatureManifest{}, err
	}
	m := signatureManifest{digest: raw.Digest}
	if err := json.Unmarshal(raw.Body, &m.manifest); err != nil {
		return m, malformed(s.Repository, tag, err)
	}
	if image.IsIndex(raw.MediaType) || m.Config.Digest == "" {
		return m, malformed(s.Repository, tag, errors.New("it is no image manifest"))
	}
	if err := image.CheckManifest(image.Subject{Repository: s.Repository, Digest: raw.Digest, MediaType: raw.MediaType}, raw.Body); err != nil {
		return m, malformed(s.Repository, tag, err)
	}
	return m, nil
}

func tooMany(s image.Subject, store string) error {
	return fault.Undecidedf("limit_exceeded", "delete signatures that are not needed", "%s has more than %d signatures at its %s", s, MaxCandidates, store)
}
