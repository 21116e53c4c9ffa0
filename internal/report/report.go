// Package report is what a run says of itself.
//
// There is one Report for each run. JSON, Text, Summary and SARIF render it;
// none of them decides anything, and the exit code is the same in all.
// docs/report.md is for its readers, and docs/report.schema.json is its schema.
//
// Much of what a report says comes from others: tags, platforms, annotations,
// predicate types and error texts from a registry, names from a workflow. JSON
// and SARIF carry such text as it is. The others write it through Clean, code,
// prose or label, see escape.go.
package report

import (
	"slices"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
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
	Store         string    `json:"signatureRepository,omitempty"` // that holds everything that is attached; "" for that of each image
	DryRun        bool      `json:"dryRun,omitempty"`
	StartedAt     time.Time `json:"startedAt,omitzero"`
	FinishedAt    time.Time `json:"finishedAt,omitzero"` // absent while the run goes on, and after one that was killed
	DurationMS    int64     `json:"durationMs,omitempty"`

	Run      *envelope.Run `json:"run,omitempty"`   // the workflow run, its trigger among it; nil outside Actions
	Error    *Failure      `json:"error,omitempty"` // what ended the run before the gate could decide
	Keys     []Key         `json:"keys,omitempty"`
	Trust    []Trust       `json:"trust,omitempty"`
	Subjects []Subject     `json:"subjects"`
	Warnings []string      `json:"warnings,omitempty"`
}

// Failure is an error with its stable code.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Key is a key that signed, or one whose evidence counted.
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

// Begin notes when the run began, and in which workflow run.
func (r *Report) Begin(at time.Time, run envelope.Run) {
	r.StartedAt = at.UTC().Truncate(time.Millisecond)
	if run != (envelope.Run{}) {
		r.Run = &run
	}
}

// Finish notes when the run ended.
func (r *Report) Finish(at time.Time) {
	r.FinishedAt = at.UTC().Truncate(time.Millisecond)
	r.DurationMS = r.FinishedAt.Sub(r.StartedAt).Milliseconds()
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
