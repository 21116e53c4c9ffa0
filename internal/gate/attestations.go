package gate

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// statement is an attestation about the subject that verified.
type statement struct {
	envelope.Verified
	at    time.Time             // when it was made, by its own word; zero when it does not say
	facts func() map[string]any // its predicate, for conditions
	unmet map[[2]int]reason     // by requirement and tag: why it does not meet it, once that was asked
}

// attested notes an attestation, unless its key does not count.
func (c *check) attested(v envelope.Verified) {
	at, _ := PredicateTime(v.PredicateType, v.Predicate)
	s := &statement{Verified: v, at: at, unmet: map[[2]int]reason{}}
	s.Digest, s.Blob = image.DigestOf(v.Blob), nil // it may be large, and its predicate is there
	s.facts = sync.OnceValue(s.PredicateObject)
	if !slices.ContainsFunc(c.Rule.Attestations, s.mayMeet) {
		c.ignore(v.Candidate, fault.Refusedf("not_a_signature", "", "%s is an attestation of the type %s, not a signature", v.Manifest, v.PredicateType))
		return
	}
	if c.again(v) && !slices.ContainsFunc(c.Rule.Attestations, func(a policy.Attestation) bool { return a.By.Only[s.Digest] }) {
		return
	}
	if err := c.Rule.Validity[v.Key.Fingerprint].Problem(c.Now); err != nil {
		c.ignore(v.Candidate, err)
		c.lapsed = append(c.lapsed, s)
		return
	}
	c.statements = append(c.statements, s)
}

// mayMeet reports whether the attestation is one that a requirement is about.
func (s *statement) mayMeet(a policy.Attestation) bool {
	return a.Type == s.PredicateType && has(a.By, s.Key) &&
		(a.By.Formats == nil || slices.Contains(a.By.Formats, s.Format)) &&
		(a.By.Only == nil || a.By.Only[s.Digest])
}

// again reports whether v says what another attestation by its key has said in
// the same format: a registry can list one statement in many copies, and
// conditions cost time.
func (c *check) again(v envelope.Verified) bool {
	return slices.ContainsFunc(slices.Concat(c.statements, c.lapsed), func(s *statement) bool {
		return s.Format == v.Format && s.PredicateType == v.PredicateType && s.Key.Fingerprint == v.Key.Fingerprint && bytes.Equal(s.Predicate, v.Predicate)
	})
}

// attestationsDone reports whether the attestations are met whatever is still
// unread. Newest and All depend on everything.
func (c *check) attestationsDone() bool {
	for i, a := range c.Rule.Attestations {
		for t := range c.tags {
			if a.Which != policy.Any || c.attestation(i, t).Outcome != fault.Passed {
				return false
			}
		}
	}
	return true
}

// attestation decides requirement i for tag t by the statements that were read.
func (c *check) attestation(i, t int) Finding {
	a := c.Rule.Attestations[i]
	f := Finding{Check: attestationCheck(a), Tag: c.tags[t], Outcome: fault.Refused}
	revoked := slices.ContainsFunc(of(a, c.lapsed), func(s *statement) bool { return c.lapse(s).code == "key_revoked" })
	if e, skipped := c.Rule.Skips("attestations"); skipped && !revoked {
		f.Outcome, f.Code, f.Fact = fault.Passed, "exception", e.String()
		return f
	}
	mine := of(a, c.statements)
	signers, near := c.attestors(i, t, candidates(mine, a.Which))
	for _, s := range of(a, c.lapsed) {
		near = append(near, c.lapse(s))
	}
	unknown := c.firstUnknown()
	switch {
	case unknown != nil && (a.Which != policy.Any || len(signers) < a.By.Min):
		f.Outcome, f.Code, f.Fact, f.Next = fault.Undecided, unknown.Code, unknown.Why, "nothing was decided; run the gate again when the cause is gone"
	case len(signers) >= a.By.Min:
		f.Outcome, f.Code, f.Fact = fault.Passed, "passed", fmt.Sprintf("attested by %s", fingerprintNames(a.By, signers))
	case a.By.Only != nil:
		f.Code, f.Fact = "write_lost", "the registry does not show the attestation that this run wrote or relied on"
		f.Next = "run again; if it stays, another job or a clean-up rule removes them"
	case len(near) > 0:
		worst, _ := heaviest(near)
		f.Code, f.Fact, f.Next = worst.code, worst.why, "make the attestation anew from a run that meets the condition"
	case len(mine) > 0:
		f.Code, f.Fact, f.Next = "threshold", fmt.Sprintf("%d of %d keys have attested it", len(signers), a.By.Min), "attest it with another of the keys"
	default:
		f.Code, f.Fact, f.Next = "attestation_missing", c.foundTypes(a), "run the step that attests before the gate"
	}
	return f
}

// attestationCheck names a requirement; one for what was written says where.
func attestationCheck(a policy.Attestation) string {
	if a.By.Only != nil {
		return a.By.Name + " " + a.Type
	}
	return "attestation " + a.Type
}

// met returns the statements that meet a requirement for some tag.
func (c *check) met() (out []envelope.Verified) {
	for _, s := range c.statements {
		meets := false
		for i, a := range c.Rule.Attestations {
			for t := range c.tags {
				meets = meets || s.mayMeet(a) && c.unmet(s, i, t).code == ""
			}
		}
		if meets {
			out = append(out, s.Verified)
		}
	}
	return out
}

// of returns the statements that a requirement is about.
func of(a policy.Attestation, all []*statement) []*statement {
	return slices.DeleteFunc(slices.Clone(all), func(s *statement) bool { return !s.mayMeet(a) })
}

// attestors returns the keys whose statements meet the requirement, and why
// others do not. Unless any will do, one that does not meet it is enough to leave
// nobody.
func (c *check) attestors(i, t int, list []*statement) (signers map[string]bool, near []reason) {
	signers = map[string]bool{}
	for _, s := range list {
		if r := c.unmet(s, i, t); r.code == "" {
			signers[s.Key.Fingerprint] = true
		} else {
			near = append(near, r)
		}
	}
	if len(near) > 0 && c.Rule.Attestations[i].Which != policy.Any {
		signers = nil
	}
	return signers, near
}

// lapse says why a statement's key does not count.
func (c *check) lapse(s *statement) reason {
	err := c.Rule.Validity[s.Key.Fingerprint].Problem(c.Now)
	return reason{fault.CodeOf(err), fmt.Sprintf("the attestation %s is by %s: %s", s.Manifest, s.Key.Name, err)}
}

// candidates returns the statements that have to meet a condition: all, or the
// newest. Statements of one time are equally new, and one that does not say its
// time may be newer than any.
func candidates(all []*statement, which policy.Which) []*statement {
	if which != policy.Newest || len(all) == 0 {
		return all
	}
	newest := slices.MaxFunc(all, func(a, b *statement) int { return a.at.Compare(b.at) }).at
	return slices.DeleteFunc(slices.Clone(all), func(s *statement) bool { return !s.at.Equal(newest) && !s.at.IsZero() })
}

// unmet says why a statement does not meet requirement i for tag t. A condition
// is evaluated once.
func (c *check) unmet(s *statement, i, t int) reason {
	at := [2]int{i, t}
	r, known := s.unmet[at]
	if !known {
		r = c.meets(s, c.Rule.Attestations[i], c.tags[t])
		s.unmet[at] = r
	}
	return r
}

func (c *check) meets(s *statement, a policy.Attestation, tag string) reason {
	switch {
	case a.MaxAge > 0 && s.at.IsZero():
		return reason{"claim_missing", "the attestation " + s.Manifest + " does not say when it was made, and the policy limits its age"}
	case a.MaxAge > 0 && s.at.After(c.Now.Add(skew)):
		return reason{"claims_contradict", "the attestation " + s.Manifest + " says that it was made at " + s.at.UTC().Format(time.RFC3339) + ", which is yet to come"}
	case a.MaxAge > 0 && c.Now.Sub(s.at) > a.MaxAge:
		return reason{"too_old", fmt.Sprintf("the attestation %s was made at %s (by its own word), longer ago than %s", s.Manifest, s.at.UTC().Format(time.RFC3339), span(a.MaxAge))}
	case a.Where == nil:
		return reason{}
	}
	err := a.Where.Meets(policy.Facts{Predicate: s.facts(), PredicateType: s.PredicateType, Repository: c.Subject.Repository, Digest: c.Subject.Digest, Tag: tag})
	if err != nil {
		return reason{fault.CodeOf(err), err.(*fault.Error).What + " (" + s.Manifest + ")"}
	}
	return reason{}
}

// foundTypes says what is there in place of the attestation.
func (c *check) foundTypes(a policy.Attestation) string {
	fact := fmt.Sprintf("it has no attestation of the type %s by %s", a.Type, a.By.Name)
	var others []string
	for _, s := range c.statements {
		if s.PredicateType != a.Type {
			others = append(others, s.PredicateType)
		}
	}
	for _, t := range distinct(others) {
		fact += "; it has one of the type " + t
	}
	return fact
}

// PredicateTime returns when a predicate says that it was made, and the field
// that says so. Nobody but its signer vouches for that.
func PredicateTime(predicateType string, predicate jsontext.Value) (time.Time, string) {
	fields := map[string][]string{
		"https://slsa.dev/provenance/v1":                   {"runDetails", "metadata", "finishedOn"},
		"https://slsa.dev/provenance/v0.2":                 {"metadata", "buildFinishedOn"},
		"https://cosign.sigstore.dev/attestation/vuln/v1":  {"metadata", "scanFinishedOn"},
		"https://in-toto.io/attestation/vulns/v0.1":        {"metadata", "scanFinishedOn"},
		"https://spdx.dev/Document":                        {"creationInfo", "created"},
		"https://cyclonedx.org/bom":                        {"metadata", "timestamp"},
		"https://in-toto.io/attestation/test-result/v0.1":  {"metadata", "finishedOn"},
		"https://signgate.dev/attestation/malware-scan/v1": {"metadata", "scanFinishedOn"},
	}[predicateType]
	for _, name := range fields {
		var members map[string]jsontext.Value
		if json.Unmarshal(predicate, &members) != nil {
			return time.Time{}, ""
		}
		predicate = members[name]
	}
	var t time.Time
	var text string
	err := json.Unmarshal(predicate, &text)
	if err == nil {
		t, err = time.Parse(time.RFC3339, text)
	}
	if err != nil || len(fields) == 0 {
		return time.Time{}, ""
	}
	return t, "predicate." + fmt.Sprint(fields)
}
