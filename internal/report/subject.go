package report

import (
	"errors"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
)

// Subject is what happened to one manifest.
type Subject struct {
	image.Subject
	Outcome      string          `json:"outcome"`
	Rule         *Rule           `json:"rule,omitempty"`    // the one that decided; nil when none was reached
	Written      []string        `json:"written,omitempty"` // digests of the manifests that this run wrote
	Signed       int             `json:"signed"`            // signatures that this run made
	Existing     int             `json:"existing"`          // signatures that were there already
	RequestIDs   []string        `json:"requestIds,omitempty"`
	Findings     []Finding       `json:"findings"`
	Signatures   []Signature     `json:"signatures,omitempty"`
	Attestations []Attestation   `json:"attestations,omitempty"`
	Attested     int             `json:"attested"`             // attestations that this run made
	AttestedThen int             `json:"existingAttestations"` // those that were there already
	Ignored      []Ignored       `json:"ignored,omitempty"`
	Skipped      []image.Skipped `json:"skipped,omitempty"`
	Spared       bool            `json:"spared,omitempty"` // its rule only warns, and it would have been refused
	Promoted     []string        `json:"promoted,omitempty"`
	Timings      Timings         `json:"timings,omitempty"`

	outcomes []fault.Outcome // of the findings
}

// Rule is what a subject had to meet.
type Rule struct {
	Name   string `json:"name"`                   // its patterns; outside a policy "trusted-keys" or "stored"
	Policy string `json:"policy,omitempty"`       // the name of the policy file that has it
	SHA256 string `json:"policySha256,omitempty"` // of the policy, as signgate policy check prints it
}

// Timings are how long the steps of a subject took, in milliseconds, by their
// names: resolve, sign, attach, gate. What takes less than one is absent.
type Timings map[string]int64

// Took notes how long a step took.
func (s *Subject) Took(step string, d time.Duration) {
	if d < time.Millisecond {
		return
	}
	if s.Timings == nil {
		s.Timings = Timings{}
	}
	s.Timings[step] += d.Milliseconds()
}

// NewSubject returns a subject about which nothing is decided yet.
func NewSubject(s image.Subject) Subject {
	return Subject{Subject: s, Outcome: fault.Undecided.String(), Findings: []Finding{}}
}

// Decided returns the worst outcome of the findings, and Undecided while there
// are none.
func (s *Subject) Decided() fault.Outcome {
	if len(s.outcomes) == 0 {
		return fault.Undecided
	}
	return fault.Worst(s.outcomes...)
}

// Failed reports whether a finding of the subject did not pass.
func (s *Subject) Failed() bool { return len(s.outcomes) > 0 && s.Decided() != fault.Passed }

// add adds a finding of a rule and sets the outcome; rule is "" for what a step
// of the run has found.
func (s *Subject) add(rule string, f gate.Finding) {
	s.outcomes = append(s.outcomes, f.Outcome)
	s.Findings = append(s.Findings, Finding{f.Outcome.String(), f.Code, f.Check, f.Tag, f.Fact, f.Next, rule})
	s.Outcome = s.Decided().String()
}

// Fail adds the failure of a step of the run as a finding.
func (s *Subject) Fail(check string, err error) {
	f := gate.Finding{Outcome: fault.OutcomeOf(err), Code: fault.CodeOf(err), Check: check, Fact: err.Error()}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Next = e.Next
		f.Fact = strings.TrimSuffix(f.Fact, "; "+e.Next)
	}
	s.add("", f)
}

// Spare lets a subject pass whose rule only warns. The findings stay as they
// are: they say what would have been refused.
func (s *Subject) Spare() {
	if s.Decided() == fault.Refused {
		s.Spared, s.Outcome, s.outcomes = true, fault.Passed.String(), []fault.Outcome{fault.Passed}
	}
}

// Pass adds a finding that has passed without a gate, as in a dry run.
func (s *Subject) Pass(check, fact string) {
	s.add("", gate.Finding{Outcome: fault.Passed, Code: "passed", Check: check, Fact: fact})
}

// Decide puts a verdict into the subject, in place of what was there.
func (s *Subject) Decide(v gate.Verdict) {
	s.Findings, s.Signatures, s.Attestations, s.Ignored, s.outcomes = []Finding{}, nil, nil, nil, nil
	for _, f := range v.Findings {
		s.add(v.Rule, f)
	}
	for _, e := range v.Signatures {
		s.Signatures = append(s.Signatures, Describe(e))
	}
	for _, a := range v.Attested {
		s.Attestations = append(s.Attestations, DescribeAttestation(a))
	}
	for _, i := range v.Ignored {
		s.Ignored = append(s.Ignored, Ignored{i.Code, i.Format, i.Store, i.Manifest, i.Why})
	}
}

// Add adds the findings of a further verdict, their names with a prefix.
func (s *Subject) Add(prefix string, v gate.Verdict) {
	for _, f := range v.Findings {
		f.Check = prefix + f.Check
		s.add(v.Rule, f)
	}
}
