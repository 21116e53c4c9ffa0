package policy

import (
	"fmt"
	"time"

	"github.com/signgate/signgate/internal/envelope"
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

// Problem says why the key does not count now, with the code of the refusal, and
// "" when it does.
func (v Validity) Problem(now time.Time) (code, why string) {
	switch {
	case v.Revoked != nil:
		return "key_revoked", "the key is revoked" + v.Revoked.String()
	case !v.NotBefore.IsZero() && now.Before(v.NotBefore):
		return "key_not_valid", "the key is valid from " + day(v.NotBefore) + " on"
	case !v.NotAfter.IsZero() && !now.Before(v.NotAfter):
		return "key_not_valid", "the key was valid until " + day(v.NotAfter)
	}
	return "", ""
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
