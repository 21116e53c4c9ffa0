package signer

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
	Fact   string `json:"fact"`
	Next   string `json:"next,omitempty"`
}
