package gate

import (
	"fmt"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// check is one decision in the making.
type check struct {
	Request
	keys    []envelope.Key
	tags    []string // never empty: "" stands for no tag
	tallies []tally  // one for each group and tag
	counted []envelope.Verified
	ignored []Ignored
}

// tally counts the distinct keys that met one group for one tag.
type tally struct {
	group, tag int
	keys       map[string]bool // by fingerprint
	near       []string        // why signatures by the group's keys did not count
}

func newCheck(r Request) *check {
	c := &check{Request: r, keys: r.Rule.Keys(), tags: r.Subject.Tags}
	if len(c.tags) == 0 {
		c.tags = []string{""}
	}
	for g := range r.Rule.Require {
		for t := range c.tags {
			c.tallies = append(c.tallies, tally{group: g, tag: t, keys: map[string]bool{}})
		}
	}
	return c
}

// Verify checks one candidate with keys and returns what it says. It is the
// one way from a Candidate to a Verified, for all formats.
func Verify(candidate envelope.Candidate, keys []envelope.Key) (envelope.Verified, error) {
	if candidate.Format == envelope.SimpleSigning {
		return simplesigning.Verify(candidate, keys)
	}
	v, statement, err := bundle.Verify(candidate, keys)
	if err != nil {
		return envelope.Verified{}, err
	}
	if err := attest.Read(&v, statement); err != nil {
		return envelope.Verified{}, err
	}
	if v.PredicateType != envelope.SignaturePredicate {
		return envelope.Verified{}, fault.Refusedf("not_a_signature", "", "%s is an attestation of the type %s, not a signature", candidate.Manifest, v.PredicateType)
	}
	return v, nil
}

// weigh adds one candidate to the tallies that it counts for.
func (c *check) weigh(candidate envelope.Candidate) {
	v, err := Verify(candidate, c.keys)
	if err == nil && v.SubjectDigest != c.Subject.Digest {
		err = fault.Refusedf("digest_mismatch", "", "it signs %s", v.SubjectDigest)
	}
	if err != nil {
		c.ignore(candidate, err)
		return
	}
	used, why := false, ""
	for i := range c.tallies {
		if w := c.count(&c.tallies[i], v); w == "" {
			used = true
		} else {
			why = w
		}
	}
	if used {
		c.counted = append(c.counted, v)
	} else {
		c.ignore(candidate, fault.Refusedf("claims_contradict", "", "%s", why))
	}
}

// count adds v to t, or returns why it does not count there.
func (c *check) count(t *tally, v envelope.Verified) string {
	group := c.Rule.Require[t.group]
	mine := false
	for _, k := range group.Keys {
		mine = mine || k.Fingerprint == v.Key.Fingerprint
	}
	if !mine {
		return "its key is not one of " + group.Name
	}
	if why := c.contradiction(v, c.tags[t.tag]); why != "" {
		t.near = append(t.near, why)
		return why
	}
	if group.Only != nil && !group.Only[image.DigestOf(v.Blob)] {
		return "it is not one of the signatures of this run"
	}
	if why := missing(v, group.Formats, group.Annotations); why != "" {
		t.near = append(t.near, why)
		return why
	}
	t.keys[v.Key.Fingerprint] = true
	return ""
}

// contradiction says how v contradicts the request for one tag, by its
// docker-reference or by its claims.
func (c *check) contradiction(v envelope.Verified, tag string) string {
	if v.Format == envelope.SimpleSigning && v.Reference != "" {
		repository, signedTag, ok := simplesigning.SplitReference(v.Reference)
		switch {
		case !ok:
			return fmt.Sprintf("its docker-reference %q is no reference", v.Reference)
		case repository != image.Canonical(c.Subject.Repository):
			return "it was made for the repository " + repository
		case tag != "" && signedTag != "" && signedTag != tag:
			return "it was made for the tag " + signedTag
		}
	}
	return v.Claims.Contradiction(c.Subject.Repository, tag, v.Key.Fingerprint, c.Now)
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
	if candidate.Format == envelope.SimpleSigning {
		if v, err := simplesigning.Unverified(candidate); err == nil && v.Claims != nil && v.Claims.Key != nil {
			fingerprint = v.Claims.Key.Fingerprint
		}
	} else {
		fingerprint = bundle.HintOf(candidate)
	}
	for _, k := range c.keys {
		if k.Fingerprint == fingerprint {
			return k.Name
		}
	}
	return ""
}

// done reports whether every requirement is met.
func (c *check) done() bool {
	for _, t := range c.tallies {
		if len(t.keys) < c.Rule.Require[t.group].Min {
			return false
		}
	}
	return true
}
