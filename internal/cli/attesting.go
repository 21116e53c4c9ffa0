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
	"github.com/signgate/signgate/internal/report"
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

// attachBeside adds what has to be attached with statements, where it is not there
// already, also to subjects that have the statement.
func (r *run) attachBeside(ctx context.Context, all []attesting, plans []*plan) {
	r.each(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) error {
		for _, a := range all {
			if !slices.Contains(a.at, i) || !slices.Contains(a.Digests, s.Digest) {
				continue
			}
			for _, b := range a.beside {
				there, err := r.view(s.Subject).Lists(ctx, s.Subject, b)
				if err != nil {
					return err
				}
				if !there {
					plans[i].attestations = append(plans[i].attestations, b)
				}
			}
		}
		return nil
	})
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
	noted := false
	for _, i := range a.at {
		p := plans[i]
		forms := p.add(made, p.stated[at[i]].envelopes, r.Resign, func(f envelope.Format) string { return envelopeID(f, key.Fingerprint(), a.essence) })
		if len(forms) == 0 {
			p.attestedThen++
			continue
		}
		p.fresh = append(p.fresh, forms)
		if requestID != "" {
			p.attestIDs = append(p.attestIDs, requestID)
		}
		if !noted { // one signature is one line in the audit log
			noted = true
			s := r.report.Subjects[i].Subject
			r.noteMade(audit.Attestation, a.Type, s, s.Tags, key, made[preferred(forms)], requestID)
		}
	}
	return nil
}

// add adds the forms of an attestation that a subject has not, and notes the
// digests of those that it has to have in the end. It returns what it has added.
func (p *plan) add(made map[envelope.Format]envelope.Attachment, held map[envelope.Format]map[string]bool, again bool, id func(envelope.Format) string) map[envelope.Format]bool {
	forms := map[envelope.Format]bool{}
	for f, digests := range held {
		blob, there := p.known[id(f)]
		if !there || again {
			blob, forms[f] = image.DigestOf(made[f].Blob), true
			p.attestations = append(p.attestations, made[f])
		}
		digests[blob] = true
	}
	return forms
}

// preferred is the form that stands for an attestation that has several.
func preferred(forms map[envelope.Format]bool) envelope.Format {
	if forms[envelope.Bundle] {
		return envelope.Bundle
	}
	return envelope.DSSE
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
	return made, sig.RequestID, nil
}
