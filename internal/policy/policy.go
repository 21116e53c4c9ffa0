// Package policy is what a gate requires, in public keys.
//
// A Policy never names a key by URI: whoever decides needs no backend and no
// credentials. Today policies are built from trusted keys and a threshold;
// thresholds count distinct public keys, never signatures.
package policy

import (
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

// Policy is a list of requirements; each one has to be met.
type Policy struct {
	Require []Group
}

// Group asks for signatures by at least Min distinct keys of Keys.
type Group struct {
	Name        string
	Keys        []envelope.Key
	Min         int
	Formats     []envelope.Format // the formats that count
	Annotations map[string]string // signed annotations that have to be there
	Only        map[string]bool   // the digests of the blobs that count; nil means any
}

// Check returns a configuration fault ("policy_invalid") for a policy that
// could not refuse anything or could never be met: no group, a group without
// keys or formats, a threshold below one or above the number of distinct keys.
func (p Policy) Check() error {
	if len(p.Require) == 0 {
		return fault.Configf("policy_invalid", "set trusted-keys", "nothing is required of the images")
	}
	for _, g := range p.Require {
		if err := g.check(); err != nil {
			return err
		}
	}
	return nil
}

func (g Group) check() error {
	distinct := map[string]bool{}
	for _, k := range g.Keys {
		distinct[k.Fingerprint] = true
	}
	switch {
	case len(distinct) == 0:
		return fault.Configf("policy_invalid", "give at least one public key", "the requirement %q has no keys", g.Name)
	case g.Min < 1:
		return fault.Configf("policy_invalid", "use 1 or more", "the threshold of %q is %d", g.Name, g.Min)
	case g.Min > len(distinct):
		return fault.Configf("policy_invalid", "lower the threshold or add keys; the same key twice counts once",
			"the threshold of %q is %d, but it has only %d distinct keys", g.Name, g.Min, len(distinct))
	case len(g.Formats) == 0:
		return fault.Configf("policy_invalid", "name at least one format", "the requirement %q accepts no format", g.Name)
	}
	return nil
}

// Keys returns the distinct keys of all groups.
func (p Policy) Keys() []envelope.Key {
	var keys []envelope.Key
	for _, g := range p.Require {
		for _, k := range g.Keys {
			if !slices.ContainsFunc(keys, func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint }) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}
