// Package fault is the one way signgate says that something went wrong.
//
// Every failure that can reach a user has an outcome (which is the exit code),
// a stable code (listed in docs/errors.md), one sentence that says what and
// which and why, and a next step. The sentence never holds a secret: backends
// build it from names and identities, never from PINs, passwords or tokens.
//
// The package imports nothing of signgate and may be imported by every other
// package.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Outcome is the verdict of a run and its process exit code.
type Outcome int

// The four outcomes. Everything but Passed fails a job.
const (
	Passed    Outcome = 0 // every requirement was met by verified evidence
	Refused   Outcome = 1 // a fact is wrong: unsigned, wrong key, wrong digest, expired
	Config    Outcome = 2 // usage: unknown or contradicting input, unreadable key file
	Undecided Outcome = 3 // a registry, a key backend or the network did not answer well enough to know
)

// String returns the outcome's name as it stands in reports.
func (o Outcome) String() string {
	switch o {
	case Passed:
		return "passed"
	case Refused:
		return "refused"
	case Config:
		return "configuration"
	}
	return "undecided"
}

// Error is a failure that a person can act on.
type Error struct {
	Outcome   Outcome
	Code      string        // stable, lower case with underscores, listed in docs/errors.md
	What      string        // what failed, for which thing, and why
	Next      string        // the next step, an imperative clause; may be empty
	Transient bool          // the same call may succeed when it is repeated
	After     time.Duration // a transient call is not to be repeated before; 0 when nobody said
	Err       error         // the cause, for errors.Is and errors.As; not printed
}

// Error returns "what; next" on one line.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.What
	}
	return e.What + "; " + e.Next
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Newf returns an Error whose What is the formatted text. A %w verb sets the
// cause, as in fmt.Errorf.
func Newf(outcome Outcome, code, next, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Outcome: outcome, Code: code, What: err.Error(), Next: next, Err: errors.Unwrap(err)}
}

// Configf reports a mistake in what the user gave: exit 2.
func Configf(code, next, format string, args ...any) *Error {
	return Newf(Config, code, next, format, args...)
}

// Refusedf reports a fact that is wrong: exit 1.
func Refusedf(code, next, format string, args ...any) *Error {
	return Newf(Refused, code, next, format, args...)
}

// Undecidedf reports that an answer could not be had: exit 3.
func Undecidedf(code, next, format string, args ...any) *Error {
	return Newf(Undecided, code, next, format, args...)
}

// Transientf is Undecidedf for a failure that may pass when repeated.
func Transientf(code, next, format string, args ...any) *Error {
	e := Newf(Undecided, code, next, format, args...)
	e.Transient = true
	return e
}

// OutcomeOf returns the outcome of err: Passed for nil, the outcome of the
// outermost Error in its chain, and Undecided for anything else, because an
// unexpected failure decides nothing.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Passed
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Outcome
	}
	return Undecided
}

// CodeOf returns the stable code of err, or "internal" for an error that has
// none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return "internal"
}

// IsTransient reports whether err may pass when the call is repeated.
func IsTransient(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Transient
}

// Worst returns the outcome of a run over several results: any configuration
// error makes Config, else any refusal makes Refused, else any unknown makes
// Undecided.
func Worst(outcomes ...Outcome) Outcome {
	worst, rank := Passed, map[Outcome]int{Passed: 0, Undecided: 1, Refused: 2, Config: 3}
	for _, o := range outcomes {
		if rank[o] > rank[worst] {
			worst = o
		}
	}
	return worst
}
