package cli

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/audit"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

// stated is an attestation that has to be at a subject: in each format the digests
// of its envelopes, one for each key.
type stated struct {
	predicateType string
	envelopes     map[envelope.Format]map[string]bool
}

// written returns the formats that this run writes: those of signatures, and with
// documents those of attestations as well.
func (r *run) written() []envelope.Format {
	var out []envelope.Format
	for _, f := range r.Formats {
		if r.report.Command != "attest" {
			out = append(out, f)
		}
		if len(r.documents) > 0 && !slices.Contains(out, f.Attesting()) {
			out = append(out, f.Attesting())
		}
	}
	return out
}

// predicateTypes returns the types of what is to be attested.
func (r *run) predicateTypes() []string {
	var out []string
	for _, d := range r.documents {
		out = append(out, d.Type)
	}
	return out
}

// envelopeID names an attestation by what it is: two of one name are the same work.
func envelopeID(f envelope.Format, fingerprint, essence string) string {
	return string(f) + " " + fingerprint + " " + essence
}

// know notes an attestation about the subject that is there already.
func (p *plan) know(v envelope.Verified, s image.Subject) {
	if slices.Contains(v.Subjects, s.Digest) {
		p.known[envelopeID(v.Format, v.Key.Fingerprint, attest.Essence(v.PredicateType, v.Predicate))] = image.DigestOf(v.Blob)
	}
}

// attesting is a document on its way to the subjects that it is about.
type attesting struct {
	document
	at      []int // the subjects
	essence string
}

// expectAll notes in the plans which attestations have to be there, and returns for
// each document where in each plan that is noted. Documents are not for subjects
// that have failed.
func (r *run) expectAll(all []attesting, plans []*plan) []map[int]int {
	expected := make([]map[int]int, len(all))
	for n := range all {
		all[n].at = slices.DeleteFunc(all[n].at, func(i int) bool { return r.report.Subjects[i].Failed() })
		expected[n] = r.expect(all[n], plans)
	}
	return expected
}

func (r *run) expect(a attesting, plans []*plan) map[int]int {
	at := map[int]int{}
	for _, i := range a.at {
		s := stated{a.Type, map[envelope.Format]map[string]bool{}}
		for _, f := range r.Formats {
			s.envelopes[f.Attesting()] = map[string]bool{}
		}
		at[i] = len(plans[i].stated)
		plans[i].stated = append(plans[i].stated, s)
	}
	return at
}

// attestAll adds to the plans what each document needs. A statement is signed
// once by each key, however many subjects it has.
func (r *run) attestAll(ctx context.Context, all []attesting, keys []*signer.Signer, plans []*plan, expected []map[int]int) error {
	var mu sync.Mutex // guards what the plans have of attestations
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(signing)
	for n, a := range all {
		for _, key := range keys {
			g.Go(func() error { return r.attestOne(ctx, a, key, plans, expected[n], &mu) })
		}
	}
	return g.Wait()
}

// attestOne makes the attestation by one key, unless all subjects have it.
func (r *run) attestOne(ctx context.Context, a attesting, key *signer.Signer, plans []*plan, at map[int]int, mu *sync.Mutex) error {
	made, requestID, err := map[envelope.Format]envelope.Attachment(nil), "", error(nil)
	for _, i := range a.at {
		if r.lacks(plans[i], a, key) {
			if made, requestID, err = r.state(ctx, a, key); err != nil {
				return err
			}
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, i := range a.at {
		p, isNew := plans[i], false
		for f, held := range p.stated[at[i]].envelopes {
			blob, there := p.known[envelopeID(f, key.Fingerprint(), a.essence)]
			if !there || r.Resign {
				blob, isNew = image.DigestOf(made[f].Blob), true
				p.attestations = append(p.attestations, made[f])
			}
			held[blob] = true
		}
		if !isNew {
			p.attestedThen++
			continue
		}
		p.attested++
		if slices.Contains(a.Digests, r.report.Subjects[i].Digest) {
			p.attestations = append(p.attestations, a.beside...)
		}
		if requestID != "" {
			p.attestIDs = append(p.attestIDs, requestID)
		}
	}
	return nil
}

// lacks reports whether a subject has the attestation by a key not yet in all
// formats.
func (r *run) lacks(p *plan, a attesting, key *signer.Signer) bool {
	return r.Resign || slices.ContainsFunc(r.Formats, func(f envelope.Format) bool {
		return p.known[envelopeID(f.Attesting(), key.Fingerprint(), a.essence)] == ""
	})
}

// state signs the statement about all subjects and returns it in all formats, and
// the backend's name for the request.
func (r *run) state(ctx context.Context, a attesting, key *signer.Signer) (map[envelope.Format]envelope.Attachment, string, error) {
	var subjects []image.Subject
	for _, i := range a.at {
		subjects = append(subjects, r.report.Subjects[i].Subject)
	}
	statement, err := attest.Statement(a.Predicate, subjects...)
	if err != nil {
		return nil, "", err
	}
	alg, err := signer.Usual(key.Public())
	if err != nil {
		return nil, "", err
	}
	sig, err := key.Sign(ctx, alg, dsse.ToSign(statement))
	if err != nil {
		return nil, "", err
	}
	made := map[envelope.Format]envelope.Attachment{}
	for _, f := range r.Formats {
		seal := bundle.Seal
		if f.Attesting() == envelope.DSSE {
			seal = dsse.Seal
		}
		if made[f.Attesting()], err = seal(statement, sig.Bytes, a.Type, key.Fingerprint()); err != nil {
			return nil, "", err
		}
	}
	f := r.Formats[len(r.Formats)-1].Attesting() // one line in the audit log for one signature
	r.noteMade(audit.Attestation, a.Type, subjects[0], subjects[0].Tags, key, made[f], sig.RequestID)
	return made, sig.RequestID, nil
}

// attested is what the end of a run requires of a subject's attestations: in each
// format each key's, as this run made or found it.
func (r *run) attested(own []envelope.Key, p *plan) (out []policy.Attestation) {
	for _, s := range p.stated {
		for _, f := range r.Formats {
			if f = f.Attesting(); p.refused[f] != nil {
				continue // the bundle is there, and the user was told
			}
			out = append(out, policy.Attestation{Type: s.predicateType, Which: policy.Any, By: policy.Group{
				Name: storedCheck + string(f), Keys: own, Min: len(own), Formats: []envelope.Format{f}, Only: s.envelopes[f],
			}})
		}
	}
	return out
}
