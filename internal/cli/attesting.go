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
	"github.com/signgate/signgate/internal/signer"
)

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
