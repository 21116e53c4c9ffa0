package policy

import (
	"fmt"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

// Key is a named public key of a policy.
type Key struct {
	envelope.Key
	Source string // "inline", or the path as the policy has it
	Validity
}

// Validity is when a key's signatures count. Without a trusted timestamp a key
// has to be valid when the gate decides, and a revoked key never counts.
type Validity struct {
	NotBefore, NotAfter time.Time // zero for no limit
	Revoked             *Revocation
}

// Revocation is the end of a key.
type Revocation struct {
	At     time.Time // zero when the policy does not say
	Reason string
}

// Problem returns the refusal of a key that does not count now, and nil when it
// does.
func (v Validity) Problem(now time.Time) error {
	switch {
	case v.Revoked != nil:
		return fault.Refusedf("key_revoked", "", "the key is revoked%s", v.Revoked)
	case !v.NotBefore.IsZero() && now.Before(v.NotBefore):
		return fault.Refusedf("key_not_valid", "", "the key is valid from %s on", day(v.NotBefore))
	case !v.NotAfter.IsZero() && !now.Before(v.NotAfter):
		return fault.Refusedf("key_not_valid", "", "the key was valid until %s", day(v.NotAfter))
	}
	return nil
}

// String returns when and why, with a space before it.
func (r Revocation) String() string {
	s := ""
	if !r.At.IsZero() {
		s = " since " + day(r.At)
	}
	if r.Reason != "" {
		s += fmt.Sprintf(" (%s)", r.Reason)
	}
	return s
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// with is the validity of a key that the policy has under two names: the
// stricter of the two in everything.
func (v Validity) with(o Validity) Validity {
	if v.NotBefore.Before(o.NotBefore) {
		v.NotBefore = o.NotBefore
	}
	if v.NotAfter.IsZero() || !o.NotAfter.IsZero() && o.NotAfter.Before(v.NotAfter) {
		v.NotAfter = o.NotAfter
	}
	if v.Revoked == nil {
		v.Revoked = o.Revoked
	}
	return v
}
