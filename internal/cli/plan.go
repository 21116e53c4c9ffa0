package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/signer"
)

// plan is what has to be attached to one subject.
type plan struct {
	attachments []envelope.Attachment
	existing    int // signatures that are there already
	requestIDs  []string
	blobs       map[string]bool // of all of them, for policy.Group.Only
	refused     error           // why the signature tag could not be written
}

// plan signs the subject with each key in each format, except where the same
// work is done already.
func (r *run) plan(ctx context.Context, s image.Subject, keys []*signer.Signer) (*plan, error) {
	if n := len(keys) * max(len(s.Tags), 1); n > registry.MaxCandidates {
		return nil, fault.Configf("signatures_too_many", "sign fewer tags at a time, or with fewer keys",
			"%s would get %d signatures of one format, and readers look at %d at most", s, n, registry.MaxCandidates)
	}
	existing, err := r.existing(ctx, s, publicKeys(keys))
	if err != nil {
		return nil, err
	}
	p := &plan{blobs: map[string]bool{}}
	for _, key := range keys {
		for _, f := range r.Formats {
			for _, tags := range payloads(f, s.Tags) {
				if err := r.planOne(ctx, p, s, f, r.claims(s, tags, key), key, existing); err != nil {
					return nil, err
				}
			}
		}
	}
	if slices.Contains(r.Formats, envelope.Bundle) && len(p.attachments) > 0 {
		return p, r.view(s).CheckFallback(ctx)
	}
	return p, nil
}

// planOne adds one signature to the plan: one that exists, or a new one.
func (r *run) planOne(ctx context.Context, p *plan, s image.Subject, f envelope.Format, claims envelope.Claims, key *signer.Signer, existing []envelope.Verified) error {
	if v, found := r.same(existing, f, claims); found && !r.Resign {
		p.existing++
		p.blobs[image.DigestOf(v.Blob)] = true
		return nil
	}
	return r.makeOne(ctx, p, s, f, claims, key)
}

// payloads returns the tags of each payload of a format: a bundle carries all,
// simple signing has room for one.
func payloads(f envelope.Format, tags []string) [][]string {
	if f == envelope.Bundle || len(tags) == 0 {
		return [][]string{tags}
	}
	var out [][]string
	for _, t := range tags {
		out = append(out, []string{t})
	}
	return out
}

// existing returns the signatures of our keys that the registry holds. What
// cannot be read in a store that will be written to is an error: it may be the
// same work. A bad entry is none, nor one that the registry lists and does not
// have, nor a list too long to be read.
func (r *run) existing(ctx context.Context, s image.Subject, keys []envelope.Key) ([]envelope.Verified, error) {
	var out []envelope.Verified
	v := r.view(s)
	v.Read(ctx, r.Formats...)
	want := envelope.Want{Formats: r.Formats, Each: max(len(s.Tags), 1), Quick: true}
	for _, k := range keys {
		want.Keys = append(want.Keys, k.Fingerprint)
	}
	for c, err := range v.Candidates(ctx, s, want) {
		if err != nil && r.blocks(c, err) {
			return nil, err
		}
		if err != nil {
			continue
		}
		if found, err := gate.Verify(c, keys); err == nil && found.SubjectDigest == s.Digest {
			out = append(out, found)
		}
	}
	return out, nil
}

// blocks reports whether an error of the list keeps a subject from being
// signed. The fallback tag is looked at by itself, where it is written to.
func (r *run) blocks(c envelope.Candidate, err error) bool {
	if store, ok := errors.AsType[*registry.StoreError](err); ok {
		f := envelope.Bundle
		if store.Store == registry.StoreSignatureTag {
			f = envelope.SimpleSigning
		}
		return store.Store != registry.StoreFallback && slices.Contains(r.Formats, f)
	}
	gone := slices.Contains([]string{"referrer_missing", "blob_missing", "limit_exceeded"}, fault.CodeOf(err))
	return !gone && !r.Resign && fault.OutcomeOf(err) == fault.Undecided && slices.Contains(r.Formats, c.Format)
}

func (r *run) claims(s image.Subject, tags []string, key *signer.Signer) envelope.Claims {
	c := envelope.Claims{
		Version: envelope.ClaimsVersion, Repository: s.Repository, Tags: tags,
		IssuedAt: r.now.UTC().Truncate(time.Second), Sequence: r.Sequence,
		Key: &envelope.KeyClaim{ID: key.ID(), Fingerprint: key.Fingerprint()},
	}
	if c.Sequence == 0 {
		c.Sequence = r.now.UnixMilli()
	}
	if r.Expires > 0 {
		c.ExpiresAt = c.IssuedAt.Add(r.Expires)
	}
	if run := r.workflowRun(); run != (envelope.Run{}) {
		c.Run = &run
	}
	return c
}

func (r *run) workflowRun() envelope.Run {
	run := r.runner.Run()
	return envelope.Run{
		Server: run.ServerURL, Repository: run.Repository, RepositoryID: run.RepositoryID, RepositoryOwnerID: run.RepositoryOwnerID,
		WorkflowRef: run.WorkflowRef, WorkflowSHA: run.WorkflowSHA, SHA: run.SHA, Ref: run.Ref, Event: run.EventName,
		RunID: run.RunID, RunAttempt: run.RunAttempt, RunnerEnvironment: run.RunnerEnvironment,
	}
}

// same returns the signature that is the same work as the claims: same key,
// format, subject, repository, tags and claims that do not depend on the run,
// with more than half of its validity left.
func (r *run) same(existing []envelope.Verified, f envelope.Format, want envelope.Claims) (envelope.Verified, bool) {
	i := slices.IndexFunc(existing, func(v envelope.Verified) bool {
		c := v.Claims
		return c != nil && v.Format == f && v.Key.Fingerprint == want.Key.Fingerprint &&
			c.Contradiction(want.Repository, "", want.Key.Fingerprint, r.now) == "" &&
			c.Repository == want.Repository && sameSet(c.Tags, want.Tags) && maps.Equal(v.Annotations, r.Annotations) &&
			c.Validity() == r.Expires && (r.Sequence == 0 || r.Sequence == c.Sequence) && r.fresh(c)
	})
	if i < 0 {
		return envelope.Verified{}, false
	}
	return existing[i], true
}

func (r *run) fresh(c *envelope.Claims) bool {
	return c.ExpiresAt.IsZero() || r.now.Before(c.IssuedAt.Add(c.Validity()/2))
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// makeOne signs one payload and adds its envelope to the plan.
func (r *run) makeOne(ctx context.Context, p *plan, s image.Subject, f envelope.Format, claims envelope.Claims, key *signer.Signer) error {
	alg, err := envelope.AlgorithmFor(key.Public())
	if err != nil {
		return err
	}
	var body, message []byte
	if f == envelope.SimpleSigning {
		body, err = simplesigning.Payload(s, strings.Join(claims.Tags, ""), claims, r.Annotations)
		message = body
	} else {
		body, err = attest.Signature(s, claims, r.Annotations)
		message = bundle.ToSign(body)
	}
	if err != nil {
		return err
	}
	sig, err := key.Sign(ctx, alg, message)
	if err != nil {
		return err
	}
	if sig.RequestID != "" {
		p.requestIDs = append(p.requestIDs, sig.RequestID)
	}
	a, err := seal(f, body, sig.Bytes, key.Fingerprint())
	p.attachments = append(p.attachments, a)
	p.blobs[image.DigestOf(a.Blob)] = true
	return err
}

func seal(f envelope.Format, body, sig []byte, fingerprint string) (envelope.Attachment, error) {
	if f == envelope.SimpleSigning {
		return simplesigning.Seal(body, sig, fingerprint), nil
	}
	return bundle.Seal(body, sig, envelope.SignaturePredicate, fingerprint)
}
