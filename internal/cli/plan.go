package cli

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// plan is what has to be attached to one subject.
type plan struct {
	todo         []work
	signatures   []envelope.Attachment
	attestations []envelope.Attachment      // and what is attached with them
	existing     int                        // signatures that are there already
	signed       int                        // signatures that were made
	fresh        []map[envelope.Format]bool // for each attestation that is made, the forms that are attached
	attestedThen int                        // attestations that are there already
	requestIDs   []string
	attestIDs    []string                  // the same for attestations
	blobs        map[string]bool           // of all signatures, for policy.Group.Only
	stated       []stated                  // the attestations that have to be there
	known        map[string]string         // the attestations of our keys that are there; see envelopeID
	refused      map[envelope.Format]error // why a tag of cosign's could not be written
}

// attachments are all that is to be attached.
func (p *plan) attachments() []envelope.Attachment {
	return slices.Concat(p.signatures, p.attestations)
}

// made puts into the report what was made for a subject, once it is attached. A
// form that the registry has refused is not there, and the other one was before.
func (p *plan) made(s *report.Subject) {
	s.Signed, s.Attested, s.AttestedThen = p.signed, 0, p.attestedThen
	for _, forms := range p.fresh {
		stored := slices.ContainsFunc(slices.Collect(maps.Keys(forms)), func(f envelope.Format) bool { return p.refused[f] == nil })
		if stored {
			s.Attested++
		} else {
			s.AttestedThen++
		}
	}
}

// plan finds out what is to be done for a subject: a signature by each key in each
// format, except where the same work is done already.
func (r *run) plan(ctx context.Context, s image.Subject, keys []*signer.Signer) (*plan, error) {
	if n := len(keys) * max(len(s.Tags), 1); n > registry.MaxCandidates {
		return nil, fault.Configf("signatures_too_many", "sign fewer tags at a time, or with fewer keys",
			"%s would get %d signatures of one format, and readers look at %d at most", s, n, registry.MaxCandidates)
	}
	p := &plan{blobs: map[string]bool{}, known: map[string]string{}}
	existing, err := r.existing(ctx, s, publicKeys(keys), p)
	if err != nil || r.report.Command == "attest" {
		return p, err
	}
	for _, key := range keys {
		for _, f := range r.Formats {
			for _, tags := range payloads(f, s.Tags) {
				p.todo = append(p.todo, work{format: f, claims: r.claims(s, tags, key), key: key})
			}
		}
	}
	r.leaveOut(p, existing)
	return p, nil
}

// leaveOut takes the work that is done already out of the plan and notes it.
func (r *run) leaveOut(p *plan, existing []envelope.Verified) {
	p.todo = slices.DeleteFunc(p.todo, func(w work) bool {
		v, found := r.same(existing, w.format, w.claims)
		if !found || r.Resign {
			return false
		}
		p.existing++
		p.blobs[image.DigestOf(v.Blob)] = true
		return true
	})
}

// existing returns the signatures of our keys that the registry holds, and notes
// the attestations. What cannot be read in a store that will be written to is an
// error: it may be the same work. A bad entry is none, nor one that the registry lists and does not
// have, nor a list too long to be read.
func (r *run) existing(ctx context.Context, s image.Subject, keys []envelope.Key, p *plan) ([]envelope.Verified, error) {
	var out []envelope.Verified
	v := r.view(s)
	v.Read(ctx, r.written()...)
	want := envelope.Want{Formats: r.Formats, Each: max(len(s.Tags), 1) + len(r.documents), Quick: true, Predicates: r.predicateTypes(), Unsigned: r.report.Command == "attest"}
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
		found, err := gate.Open(c, keys)
		switch {
		case err != nil:
		case gate.IsAttestation(found):
			p.know(found, s)
		case found.SubjectDigest == s.Digest:
			out = append(out, found)
		}
	}
	return out, nil
}

// blocks reports whether an error of the list keeps a subject from being
// signed. The fallback tag is looked at by itself, where it is written to.
func (r *run) blocks(c envelope.Candidate, err error) bool {
	if store, ok := errors.AsType[*registry.StoreError](err); ok {
		f := map[string]envelope.Format{registry.StoreSignatureTag: envelope.SimpleSigning, registry.StoreAttestationTag: envelope.DSSE, registry.StoreReferrers: envelope.Bundle}
		return slices.Contains(r.written(), f[store.Store])
	}
	gone := slices.Contains([]string{"referrer_missing", "blob_missing", "limit_exceeded"}, fault.CodeOf(err))
	return !gone && !r.Resign && fault.OutcomeOf(err) == fault.Undecided && slices.Contains(r.written(), c.Format)
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
