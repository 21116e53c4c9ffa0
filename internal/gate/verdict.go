package gate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

func (c *check) verdict() Verdict {
	v := Verdict{Subject: c.Subject, Rule: c.Rule.Name, Signatures: c.counted, Ignored: c.ignored, Sequence: c.sequences()}
	for _, t := range c.tallies {
		v.Findings = append(v.Findings, c.finding(t))
	}
	for i := range c.Rule.Attestations {
		for t := range c.tags {
			v.Findings = append(v.Findings, c.attestation(i, t))
		}
	}
	v.Attested = c.met()
	return v
}

// sequences returns for each tag the highest number that every group has enough
// signatures with: the same image passes again with it as the floor.
func (c *check) sequences() map[string]int64 {
	out := map[string]int64{}
	for _, t := range c.tallies {
		enough := t.sequence(c.Rule.Require[t.group].Min)
		if least, seen := out[c.tags[t.tag]]; !seen || enough < least {
			out[c.tags[t.tag]] = enough
		}
	}
	return out
}

// sequence returns the highest number that at least min keys have signed, and 0
// when there are fewer. One key of several must not raise it alone.
func (t tally) sequence(min int) int64 {
	numbers := slices.Sorted(maps.Values(t.keys))
	if len(numbers) < min {
		return 0
	}
	return numbers[len(numbers)-min]
}

// finding turns a tally into an answer. Before it refuses it looks for what
// could not be read: then nothing is decided.
func (c *check) finding(t tally) Finding {
	group := c.Rule.Require[t.group]
	f := Finding{Check: group.Name, Tag: c.tags[t.tag]}
	revoked := slices.ContainsFunc(t.near, func(r reason) bool { return r.code == "key_revoked" })
	if e, skipped := c.Rule.Skips("signatures"); skipped && !revoked && len(t.keys) < group.Min {
		f.Outcome, f.Code, f.Fact = fault.Passed, "exception", e.String()
		return f
	}
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
		f.Code, f.Fact, f.Next = nearest(t.near)
	default:
		c.absent(&f)
	}
	return f
}

// absent tells the three ways of having nothing apart: unsigned, signed by
// others, and signatures that are broken. Of several broken ones the code
// decides, so that their order does not.
func (c *check) absent(f *Finding) {
	worst := c.weightiest(func(i Ignored) bool { return i.broken })
	other := slices.ContainsFunc(c.ignored, func(i Ignored) bool { return i.Code == "key_other" })
	switch {
	case worst != nil:
		f.Code, f.Fact = worst.Code, worst.Why
		f.Next = "sign the image again, and find out who wrote that entry"
	case c.signatures > 0:
		f.Code, f.Fact = "key_other", "it has signatures by other keys that are trusted, and none by a key of this requirement"
		f.Next = "sign with a key of this requirement; signgate policy explain shows them"
	case other:
		f.Code, f.Fact = "key_other", "it has signatures, and none of them verifies with a trusted key"
		f.Next = "sign with a trusted key, or correct trusted-keys; signgate inspect shows what is attached"
	default:
		f.Code, f.Fact = "unsigned", "it has no signature, neither in the referrers API nor at the fallback tag nor at the signature tag"
		f.Next = "run the sign step before the gate"
	}
}

// weightiest returns the ignored entry that names a finding: by its code, then
// by its text. It is nil when there is none.
func (c *check) weightiest(of func(Ignored) bool) *Ignored {
	list := slices.DeleteFunc(slices.Clone(c.ignored), func(i Ignored) bool { return !of(i) })
	if len(list) == 0 {
		return nil
	}
	worst := slices.MinFunc(list, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Why, b.Why))
	})
	return &worst
}

func (c *check) firstUnknown() *Ignored {
	return c.weightiest(func(i Ignored) bool { return i.unknown })
}

// advice is the next step for each reason not to count, in the order of their
// weight: of several reasons the weightiest names the finding.
var advice = []struct{ code, next string }{
	{"key_revoked", "sign the image again with a key that is not revoked, and find out what the revoked one has signed"},
	{"key_not_valid", "sign with a key that is valid now, or extend its validity in the policy"},
	{"rollback", "deploy the newer image; if the older one is meant, sign it again"},
	{"too_old", "sign the image again, which a scheduled job can do"},
	{"claims_contradict", "sign this image under this name, or gate the image that was signed"},
	{"claim_missing", "sign with signgate, and with the tags that the policy binds"},
}

// nearest says why signatures by the right keys did not count.
func nearest(all []reason) (code, fact, next string) {
	var why []string
	for _, r := range all {
		why = append(why, r.why)
	}
	worst, next := heaviest(all)
	return worst.code, "the signatures by trusted keys do not count: " + strings.Join(distinct(why), "; "), next
}

// heaviest returns the weightiest of the reasons with its next step: by advice, then
// by its text, so that the order of what was read decides nothing.
func heaviest(all []reason) (worst reason, next string) {
	rank := func(r reason) int {
		return slices.IndexFunc(advice, func(a struct{ code, next string }) bool { return r.code == a.code })
	}
	worst = slices.MinFunc(all, func(a, b reason) int {
		return cmp.Or(cmp.Compare(uint(rank(a)), uint(rank(b))), cmp.Compare(a.code, b.code), cmp.Compare(a.why, b.why))
	})
	if i := rank(worst); i >= 0 {
		next = advice[i].next
	}
	return worst, next
}

func names(g policy.Group, fingerprints map[string]int64) string {
	set := map[string]bool{}
	for f := range fingerprints {
		set[f] = true
	}
	return fingerprintNames(g, set)
}

func fingerprintNames(g policy.Group, fingerprints map[string]bool) string {
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
