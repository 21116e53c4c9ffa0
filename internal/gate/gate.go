// Package gate decides whether what is in a registry is what was asked for.
//
// Check takes a subject, a policy and a source of evidence and returns a
// verdict with one finding for each requirement. It fails closed: the zero
// Verdict is no pass, an unreadable store or an entry over a limit makes the
// verdict undecided unless the requirement is met without it, and an entry
// that is malformed, signed by another key or contradicts the request does not
// count, but hides no other. Thresholds count public keys.
package gate

import (
	"context"
	"iter"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// Source is where evidence comes from. Candidates yields what is attached to
// the subject, beginning with what want asks for, store by store, and an error for a store or an entry that
// could not be read; both may come in any number. An error that is a refusal
// says that the entry was read and is not what it should be; any other says
// that it is unknown. The caller may stop early.
type Source interface {
	Candidates(ctx context.Context, subject image.Subject, want envelope.Want) iter.Seq2[envelope.Candidate, error]
}

// Request is one decision to be made.
type Request struct {
	Subject image.Subject // its tags are what was asked for; each needs its evidence
	Rule    policy.Rule
	Now     time.Time

	// Floor has the least sequence number that counts for a tag, where the
	// rule refuses a rollback.
	Floor map[string]int64
}

// Verdict is the decision on one subject.
type Verdict struct {
	Subject    image.Subject
	Rule       string              // the name of the rule that was asked
	Sequence   map[string]int64    // by tag, the sequence number that the accepted signatures agree on; see Request.Floor
	Findings   []Finding           // one for each requirement and tag
	Signatures []envelope.Verified // every signature that verified and counted
	Attested   []envelope.Verified // every attestation that meets one of the rule's requirements, without its Blob
	Ignored    []Ignored           // what did not count, and why
}

// Finding is the answer to one requirement.
type Finding struct {
	Outcome fault.Outcome
	Code    string // stable, listed in docs/errors.md
	Check   string // the requirement's name
	Tag     string // the tag it was decided for; "" without one
	Fact    string // what decided it
	Next    string // what to do; "" when it passed
}

// Ignored is an entry that did not count.
type Ignored struct {
	Code     string // "key_other" when no trusted key made it
	Format   envelope.Format
	Manifest string
	Store    string
	Why      string
	unknown  bool // it could not be read
	broken   bool // it was read, and is no signature of this image
}

// Outcome returns the verdict's outcome. A verdict without findings passes
// nothing.
func (v Verdict) Outcome() fault.Outcome {
	if len(v.Findings) == 0 {
		return fault.Undecided
	}
	outcomes := make([]fault.Outcome, len(v.Findings))
	for i, f := range v.Findings {
		outcomes[i] = f.Outcome
	}
	return fault.Worst(outcomes...)
}

// Check decides the request from the evidence of source. It reads until every
// requirement is met, or to the end. It returns an error only for a policy
// that cannot be used; trouble with the evidence is in the verdict.
func Check(ctx context.Context, r Request, source Source) (Verdict, error) {
	if err := r.Rule.Check(); err != nil {
		return Verdict{}, err
	}
	c := newCheck(r)
	for candidate, err := range source.Candidates(ctx, r.Subject, r.want()) {
		if err != nil {
			c.reject(candidate, err)
			continue
		}
		c.weigh(candidate)
		if c.done() {
			break
		}
	}
	return c.verdict(), nil
}

// want is what the source had best begin with.
func (r Request) want() envelope.Want {
	w := envelope.Want{Unsigned: len(r.Rule.Require) == 0, Each: max(len(r.Subject.Tags), 1) + len(r.Rule.Attestations)}
	for _, k := range r.Rule.Keys() {
		w.Keys = append(w.Keys, k.Fingerprint)
	}
	for _, g := range r.Rule.Require {
		w.Formats = append(w.Formats, g.Formats...)
	}
	for _, a := range r.Rule.Attestations {
		w.Predicates = append(w.Predicates, a.Type)
	}
	return w
}
