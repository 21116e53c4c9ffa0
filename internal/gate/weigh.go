package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// check is one decision in the making.
type check struct {
	Request
	keys       []envelope.Key
	tags       []string // never empty: "" stands for no tag
	tallies    []tally  // one for each group and tag
	statements []*statement
	lapsed     []*statement // by keys that do not count now
	signatures int          // how many verified with a key of the rule, whether they count or not
	counted    []envelope.Verified
	ignored    []Ignored
}

// tally counts the distinct keys that met one group for one tag.
type tally struct {
	group, tag int
	keys       map[string]int64 // by fingerprint, the highest sequence that it signed
	near       []reason         // why signatures by the group's keys did not count
}

// reason is why something did not count.
type reason struct{ code, why string }

func newCheck(r Request) *check {
	c := &check{Request: r, keys: r.Rule.Keys(), tags: r.Subject.Tags}
	if len(c.tags) == 0 {
		c.tags = []string{""}
	}
	for g := range r.Rule.Require {
		for t := range c.tags {
			c.tallies = append(c.tallies, tally{group: g, tag: t, keys: map[string]int64{}})
		}
	}
	return c
}

// Verify checks one candidate with keys and returns what it says. It is the
// one way from a Candidate to a Verified signature, for all formats.
func Verify(candidate envelope.Candidate, keys []envelope.Key) (envelope.Verified, error) {
	v, err := Open(candidate, keys)
	if err == nil && IsAttestation(v) {
		return envelope.Verified{}, fault.Refusedf("not_a_signature", "", "%s is an attestation of the type %s, not a signature", candidate.Manifest, v.PredicateType)
	}
	return v, err
}

// Open checks one candidate with keys and returns what it says. It may be an
// attestation.
func Open(candidate envelope.Candidate, keys []envelope.Key) (envelope.Verified, error) {
	verify := bundle.Verify
	switch candidate.Format {
	case envelope.SimpleSigning:
		return simplesigning.Verify(candidate, keys)
	case envelope.DSSE:
		verify = dsse.Verify
	}
	v, statement, err := verify(candidate, keys)
	if err == nil {
		err = attest.Read(&v, statement)
	}
	if err != nil {
		return envelope.Verified{}, err
	}
	return v, nil
}

// IsAttestation reports whether what verified is no signature: it has another
// predicate type, or stands where only attestations do.
func IsAttestation(v envelope.Verified) bool {
	return v.Format == envelope.DSSE || v.Format == envelope.Bundle && v.PredicateType != envelope.SignaturePredicate
}

// weigh adds one candidate to what it counts for.
func (c *check) weigh(candidate envelope.Candidate) {
	v, err := Open(candidate, c.keys)
	if err == nil && v.SubjectDigest != c.Subject.Digest && !slices.Contains(v.Subjects, c.Subject.Digest) {
		err = fault.Refusedf("digest_mismatch", "", "it signs %s", v.SubjectDigest)
	}
	switch {
	case err != nil:
		c.reject(candidate, err)
	case IsAttestation(v):
		c.attested(v)
	default:
		c.signed(v)
	}
}

// signed adds a signature to the tallies that it counts for.
func (c *check) signed(v envelope.Verified) {
	c.signatures++
	if len(c.tallies) == 0 {
		return // the rule asks for attestations alone
	}
	used, why, elsewhere := false, []reason(nil), []reason(nil)
	for i := range c.tallies {
		switch w := c.count(&c.tallies[i], v); w.code {
		case "":
			used = true
		case "key_elsewhere":
			elsewhere = append(elsewhere, w)
		default:
			why = append(why, w)
		}
	}
	if used {
		c.counted = append(c.counted, v)
		return
	}
	if len(why) == 0 {
		why = elsewhere
	}
	worst, _ := heaviest(why)
	c.ignore(v.Candidate, fault.Refusedf(worst.code, "", "%s", worst.why))
}

// count adds v to t, or returns why it does not count there.
func (c *check) count(t *tally, v envelope.Verified) reason {
	group := c.Rule.Require[t.group]
	if !has(group, v.Key) {
		return reason{"key_elsewhere", "its key is not one of " + group.Name}
	}
	if group.Only != nil && c.contradiction(v, c.tags[t.tag]) == "" && !group.Only[image.DigestOf(v.Blob)] {
		return reason{"not_of_this_run", "it is not one of the signatures of this run"}
	}
	if r := c.objection(v, group, c.tags[t.tag]); r.code != "" {
		t.near = append(t.near, r)
		return r
	}
	t.keys[v.Key.Fingerprint] = max(t.keys[v.Key.Fingerprint], sequence(v))
	return reason{}
}

func has(g policy.Group, k envelope.Key) bool {
	return slices.ContainsFunc(g.Keys, func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint })
}

// objection says why a signature by a key of the group does not count for a tag.
func (c *check) objection(v envelope.Verified, group policy.Group, tag string) reason {
	if err := c.Rule.Validity[v.Key.Fingerprint].Problem(c.Now); err != nil {
		return reason{fault.CodeOf(err), fmt.Sprintf("%s: %s", v.Key.Name, err)}
	}
	if why := c.contradiction(v, tag); why != "" {
		return reason{"claims_contradict", why}
	}
	if why := missing(v, group.Formats, group.Annotations); why != "" {
		return reason{"claims_contradict", why}
	}
	if r := c.unbound(v, tag); r.code != "" {
		return r
	}
	return c.stale(v)
}

func missing(v envelope.Verified, formats []envelope.Format, annotations map[string]string) string {
	accepted := false
	for _, f := range formats {
		accepted = accepted || f == v.Format
	}
	if !accepted {
		return fmt.Sprintf("its format is %s", v.Format)
	}
	for name, want := range annotations {
		if got, ok := v.Annotations[name]; !ok {
			return fmt.Sprintf("it has no signed annotation %s", name)
		} else if got != want {
			return fmt.Sprintf("its signed annotation %s is %q, not %q", name, got, want)
		}
	}
	return ""
}

// reject ignores an entry that could not be read, or is no signature of the
// image.
func (c *check) reject(candidate envelope.Candidate, err error) {
	c.ignore(candidate, err)
	last := &c.ignored[len(c.ignored)-1]
	last.broken = !last.unknown && last.Code != "key_other"
}

// ignore notes an entry that does not count, and why.
func (c *check) ignore(candidate envelope.Candidate, err error) {
	code, why := fault.CodeOf(err), strings.TrimSpace(err.Error())
	if code == "signature_invalid" {
		if name := c.names(candidate); name != "" {
			why = fmt.Sprintf("a %s signature names the trusted key %s and does not verify with it: it was changed or forged", candidate.Format, name)
		} else {
			code, why = "key_other", "made by another key"
		}
	}
	c.ignored = append(c.ignored, Ignored{
		Code: code, Format: candidate.Format, Manifest: candidate.Manifest, Store: candidate.Store,
		Why: why, unknown: fault.OutcomeOf(err) != fault.Refused,
	})
}

// names returns the trusted key that a candidate says it was made by. Nothing
// vouches for that; it tells a changed signature from somebody else's.
func (c *check) names(candidate envelope.Candidate) string {
	fingerprint := ""
	switch candidate.Format {
	case envelope.SimpleSigning:
		if v, err := simplesigning.Unverified(candidate); err == nil && v.Claims != nil && v.Claims.Key != nil {
			fingerprint = v.Claims.Key.Fingerprint
		}
	case envelope.DSSE:
		fingerprint = candidate.Hint
	default:
		fingerprint = bundle.HintOf(candidate)
	}
	for _, k := range c.keys {
		if k.Fingerprint == fingerprint {
			return k.Name
		}
	}
	return ""
}

// done reports whether every requirement is met, so that nothing that is still
// unread could change that, nor what is taken from the evidence: the sequence
// number, and the base images that provenance names.
func (c *check) done() bool {
	for _, t := range c.tallies {
		if len(t.keys) < c.Rule.Require[t.group].Min {
			return false
		}
	}
	return c.attestationsDone() && !c.Rule.Bind.Rollback && (c.Rule.Base == nil || c.Rule.Base.DigestFrom != "provenance")
}
