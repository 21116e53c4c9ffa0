// Package report is what a run says of itself.
//
// There is one Report for each run. JSON, Text and Summary render it; none of
// them decides anything, and the exit code is the same in all.
package report

import (
	"errors"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/signer"
)

// SchemaVersion is the version of the JSON form.
const SchemaVersion = 1

// The two things that a passed run can have proved.
const (
	ProofTrusted = "trusted" // the trusted keys given by the user have signed
	ProofStored  = "stored"  // the signatures of this run are in the registry; whose keys they are, nobody was asked
)

// Report is one run.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"`
	Version       string    `json:"version"` // of signgate
	Command       string    `json:"command"` // the verb
	Outcome       string    `json:"outcome"`
	ExitCode      int       `json:"exitCode"`
	Proof         string    `json:"proof,omitempty"`
	DryRun        bool      `json:"dryRun,omitempty"`
	Error         *Failure  `json:"error,omitempty"` // what ended the run before the gate could decide
	Keys          []Key     `json:"keys,omitempty"`
	Trust         []Trust   `json:"trust,omitempty"`
	Subjects      []Subject `json:"subjects"`
	Warnings      []string  `json:"warnings,omitempty"`
}

// Failure is an error with its stable code.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Key is a key that signed.
type Key struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Fingerprint string          `json:"fingerprint"`
	PublicKey   string          `json:"publicKey"`         // PEM
	Custody     *signer.Custody `json:"custody,omitempty"` // how the backend says that it is kept
}

// Trust is a source of trusted keys.
type Trust struct {
	Source       string   `json:"source"`
	SHA256       string   `json:"sha256"` // of the text
	Fingerprints []string `json:"fingerprints"`
}

// Subject is what happened to one manifest.
type Subject struct {
	image.Subject
	Outcome      string          `json:"outcome"`
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

	outcomes []fault.Outcome // of the findings
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

// add adds a finding and sets the outcome.
func (s *Subject) add(f gate.Finding) {
	s.outcomes = append(s.outcomes, f.Outcome)
	s.Findings = append(s.Findings, Finding{f.Outcome.String(), f.Code, f.Check, f.Tag, f.Fact, f.Next})
	s.Outcome = s.Decided().String()
}

// Fail adds the failure of a step of the run as a finding.
func (s *Subject) Fail(check string, err error) {
	f := gate.Finding{Outcome: fault.OutcomeOf(err), Code: fault.CodeOf(err), Check: check, Fact: err.Error()}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Next = e.Next
		f.Fact = strings.TrimSuffix(f.Fact, "; "+e.Next)
	}
	s.add(f)
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
	s.add(gate.Finding{Outcome: fault.Passed, Code: "passed", Check: check, Fact: fact})
}

// Finding is one check of the gate.
type Finding struct {
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Check   string `json:"check"`
	Tag     string `json:"tag,omitempty"`
	Fact    string `json:"fact"`
	Next    string `json:"next,omitempty"`
}

// Signature is a signature that verified and counted.
type Signature struct {
	Format      envelope.Format   `json:"format"`
	Store       string            `json:"store"`
	Manifest    string            `json:"manifest"`
	Key         string            `json:"key"`
	Fingerprint string            `json:"fingerprint"`
	Algorithm   string            `json:"algorithm"`
	Reference   string            `json:"reference,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Claims      *envelope.Claims  `json:"claims,omitempty"`
}

// Attestation is an attestation that verified and met a requirement of the rule,
// or was written by this run.
type Attestation struct {
	Type        string          `json:"type"` // of its predicate
	Format      envelope.Format `json:"format"`
	Store       string          `json:"store"`
	Manifest    string          `json:"manifest"`
	Key         string          `json:"key"`
	Fingerprint string          `json:"fingerprint"`
	Algorithm   string          `json:"algorithm"`
	Subjects    []string        `json:"subjects"` // the digests of all manifests that it is about
}

// Ignored is an entry that did not count.
type Ignored struct {
	Code     string          `json:"code"`
	Format   envelope.Format `json:"format,omitempty"`
	Store    string          `json:"store,omitempty"`
	Manifest string          `json:"manifest,omitempty"`
	Why      string          `json:"why"`
}

// Decide puts a verdict into the subject, in place of what was there.
func (s *Subject) Decide(v gate.Verdict) {
	s.Findings, s.Signatures, s.Attestations, s.Ignored, s.outcomes = []Finding{}, nil, nil, nil, nil
	for _, f := range v.Findings {
		s.add(f)
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
		s.add(f)
	}
}

// Describe returns the report's form of a verified signature.
func Describe(v envelope.Verified) Signature {
	return Signature{
		Format: v.Format, Store: v.Store, Manifest: v.Manifest, Key: v.Key.Name, Fingerprint: v.Key.Fingerprint,
		Algorithm: string(v.Algorithm), Reference: v.Reference, Annotations: v.Annotations, Claims: v.Claims,
	}
}

// DescribeAttestation returns the report's form of a verified attestation.
func DescribeAttestation(v envelope.Verified) Attestation {
	return Attestation{
		Type: v.PredicateType, Format: v.Format, Store: v.Store, Manifest: v.Manifest, Key: v.Key.Name,
		Fingerprint: v.Key.Fingerprint, Algorithm: string(v.Algorithm), Subjects: v.Subjects,
	}
}

// End sets the outcome of the run.
func (r *Report) End(outcome fault.Outcome, err error) {
	r.Outcome, r.ExitCode = outcome.String(), int(outcome)
	if err != nil {
		r.Error = &Failure{Code: fault.CodeOf(err), Message: err.Error()}
	}
}

// Passed reports whether the run has passed.
func (r *Report) Passed() bool { return r.Outcome == fault.Passed.String() }

// Verified reports whether every subject has met its rule; a run that has only
// warned passes without.
func (r *Report) Verified() bool {
	return r.Passed() && !r.DryRun && !slices.ContainsFunc(r.Subjects, func(s Subject) bool { return s.Spared })
}

// label names a subject in a line: the reference, its tags and its platform.
func (s Subject) label() string {
	label := s.Subject.String()
	if s.Platform != "" {
		label += " (" + s.Platform + ")"
	}
	if len(s.Tags) > 0 {
		label += " [" + strings.Join(s.Tags, ", ") + "]"
	}
	return label
}

// formats returns the formats of the subject's signatures, each once.
func (s Subject) formats() string {
	var out []string
	for _, f := range envelope.Formats() {
		for _, sig := range s.Signatures {
			if sig.Format == f {
				out = append(out, string(f))
				break
			}
		}
	}
	return strings.Join(out, ", ")
}
