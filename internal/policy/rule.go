package policy

import (
	"slices"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

// Rule is what is required of the images that it is for. Each requirement has
// to be met.
type Rule struct {
	Name     string    // for messages: the patterns, or "trusted-keys"
	Patterns []Pattern // the repositories that it is for; empty outside a policy file

	Require      []Group
	MaxAge       time.Duration // of a signature, by its signed issue time; 0 for any age
	Bind         Bind
	Index        Index
	Attestations []Attestation
	Base         *Base // what is required of the base image; nil for nothing
	Mode         Mode

	Validity map[string]Validity // of keys, by fingerprint; absent is always valid
	Skipped  []Exception         // the exceptions that apply to the image; see Policy.RuleFor
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

// Bind says what a signature's claims have to say; see docs/claims.md.
type Bind struct {
	Repository bool              // the signed repository is that of the image
	Remap      map[string]string // from the image's repository, or the beginning of it, to the signed one; implies Repository
	Tag        bool              // the signed tags have the one that was asked for
	Rollback   bool              // the signed sequence is not below what was accepted before
}

// Index says which manifests of an index have to meet the rule.
type Index string

// The manifests of an index.
const (
	EveryChild Index = "every-child" // the index and each platform's manifest
	Self       Index = "self"        // the index alone
)

// Mode says what a refusal does.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	Warn    Mode = "warn" // the run passes without having verified; nothing is promoted
)

// Attestation asks for statements of a predicate type.
type Attestation struct {
	Type   string
	By     Group // without Formats any counts
	Which  Which
	MaxAge time.Duration // by the time that the predicate has; 0 for any age
	Where  *Condition    // nil for any predicate
}

// Which says which statements of a type have to meet the condition.
type Which string

// The quantifiers. Newest and All need a MaxAge: whoever can delete from the
// registry can hide the newest.
const (
	Any    Which = "any"
	Newest Which = "newest"
	All    Which = "all"
)

// Base asks that the base image meets a rule of its own.
type Base struct {
	DigestFrom string // "annotations" or "provenance"
}

// Check returns a configuration fault ("policy_invalid") for a rule that could
// not refuse anything or could never be met: no group, a group without keys or
// formats, a threshold below one or above the number of distinct keys.
func (r Rule) Check() error {
	if len(r.Require)+len(r.Attestations) == 0 {
		return fault.Configf("policy_invalid", "set trusted-keys", "nothing is required of the images")
	}
	for _, g := range r.Require {
		if err := g.Check(); err != nil {
			return err
		}
	}
	for _, a := range r.Attestations {
		g := a.By
		if g.Name = a.Type; g.Formats == nil {
			g.Formats = envelope.Formats() // in any
		}
		if err := g.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Check is Rule.Check for one group.
func (g Group) Check() error {
	distinct := g.distinct()
	switch {
	case distinct == 0:
		return fault.Configf("policy_invalid", "give at least one public key", "the requirement %q has no keys", g.Name)
	case g.Min < 1:
		return fault.Configf("policy_invalid", "use 1 or more", "the threshold of %q is %d", g.Name, g.Min)
	case g.Min > distinct:
		return fault.Configf("policy_invalid", "lower the threshold or add keys; the same key twice counts once",
			"the threshold of %q is %d, but it has only %d distinct keys", g.Name, g.Min, distinct)
	case len(g.Formats) == 0:
		return fault.Configf("policy_invalid", "name at least one format", "the requirement %q accepts no format", g.Name)
	}
	return nil
}

func (g Group) distinct() int {
	seen := map[string]bool{}
	for _, k := range g.Keys {
		seen[k.Fingerprint] = true
	}
	return len(seen)
}

// Keys returns the distinct keys of all groups.
func (r Rule) Keys() []envelope.Key {
	var keys []envelope.Key
	for _, g := range r.groups() {
		for _, k := range g.Keys {
			if !slices.ContainsFunc(keys, func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint }) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func (r Rule) groups() []Group {
	all := slices.Clone(r.Require)
	for _, a := range r.Attestations {
		all = append(all, a.By)
	}
	return all
}
