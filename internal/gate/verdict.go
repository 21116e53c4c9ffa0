package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

func (c *check) verdict() Verdict {
	v := Verdict{Subject: c.Subject, Signatures: c.counted, Ignored: c.ignored}
	for _, t := range c.tallies {
		v.Findings = append(v.Findings, c.finding(t))
	}
	return v
}

// finding turns a tally into an answer. Before it refuses it looks for what
// could not be read: then nothing is decided.
func (c *check) finding(t tally) Finding {
	group := c.Rule.Require[t.group]
	f := Finding{Check: group.Name, Tag: c.tags[t.tag]}
	if len(t.keys) >= group.Min {
		f.Outcome, f.Code, f.Fact = fault.Passed, "passed", fmt.Sprintf("signed by %s", names(group, t.keys))
		return f
	}
	f.Outcome = fault.Refused
	switch unknown := c.firstUnknown(); {
	case unknown != nil:
		f.Outcome, f.Code, f.Fact = fault.Undecided, unknown.Code, unknown.Why
		f.Next = "nothing was decided; run the gate again when the cause is gone"
	case group.Only != nil:
		f.Code, f.Fact = "write_lost", "the registry does not show the signatures that this run wrote or relied on"
		f.Next = "run again; if it stays, another job or a clean-up rule removes them"
	case len(t.keys) > 0:
		f.Code, f.Fact = "threshold", fmt.Sprintf("%d of %d distinct keys have signed: %s", len(t.keys), group.Min, names(group, t.keys))
		f.Next = "sign with another of the trusted keys"
	case len(t.near) > 0:
		f.Code, f.Fact = "claims_contradict", "the signatures by trusted keys do not count: "+strings.Join(distinct(t.near), "; ")
		f.Next = "sign this image under this name, or gate the image that was signed"
	default:
		c.absent(&f)
	}
	return f
}

// absent tells the three ways of having nothing apart: unsigned, signed by
// others, and signatures that are broken.
func (c *check) absent(f *Finding) {
	broken := slices.IndexFunc(c.ignored, func(i Ignored) bool { return i.Code != "key_other" && i.Code != "not_a_signature" })
	other := slices.IndexFunc(c.ignored, func(i Ignored) bool { return i.Code == "key_other" })
	switch {
	case broken >= 0:
		f.Code, f.Fact = c.ignored[broken].Code, c.ignored[broken].Why
		f.Next = "sign the image again, and find out who wrote that entry"
	case other >= 0 || len(c.counted) > 0:
		f.Code, f.Fact = "key_other", "it has signatures, and none of them verifies with a trusted key"
		f.Next = "sign with a trusted key, or correct trusted-keys; signgate inspect shows what is attached"
	default:
		f.Code, f.Fact = "unsigned", "it has no signature, neither in the referrers API nor at the fallback tag nor at the signature tag"
		f.Next = "run the sign step before the gate"
	}
}

func (c *check) firstUnknown() *Ignored {
	i := slices.IndexFunc(c.ignored, func(i Ignored) bool { return i.unknown })
	if i < 0 {
		return nil
	}
	return &c.ignored[i]
}

func names(g policy.Group, fingerprints map[string]bool) string {
	var out []string
	for _, k := range g.Keys {
		if fingerprints[k.Fingerprint] {
			out = append(out, k.Name)
		}
	}
	return strings.Join(distinct(out), ", ")
}

func distinct(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
