package signer

import (
	"errors"
	"fmt"

	"github.com/signgate/signgate/internal/fault"
)

// Status is the result of one check of signgate doctor.
type Status string

// The results. A warning does not keep a key from signing.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Check is one line of signgate doctor: what was looked at, what was found and,
// unless that is ok, what to do. It never holds a secret.
type Check struct {
	Name   string `json:"name"` // "credentials", "region", "key", "state", "permission to sign", …
	Status Status `json:"status"`
	Code   string `json:"code,omitempty"` // of the fault, when the check failed with one
	Fact   string `json:"fact"`
	Next   string `json:"next,omitempty"`
}

// Good returns a line that is ok.
func Good(name, format string, args ...any) Check {
	return Check{Name: name, Status: OK, Fact: fmt.Sprintf(format, args...)}
}

// Doubtful returns a warning.
func Doubtful(name, next, format string, args ...any) Check {
	return Check{Name: name, Status: Warn, Fact: fmt.Sprintf(format, args...), Next: next}
}

// Failed returns the line of an error.
func Failed(name string, err error) Check {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return Check{Name: name, Status: Fail, Code: f.Code, Fact: f.What, Next: f.Next}
	}
	return Check{Name: name, Status: Fail, Fact: err.Error(), Next: "run it again, and report it if it stays"}
}
