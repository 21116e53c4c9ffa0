package gate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// statement is an attestation about the subject that verified.
type statement struct {
	envelope.Verified
	at time.Time // when it was made, by its own word; zero when it does not say
}

// attested notes an attestation, unless its key does not count.
func (c *check) attested(v envelope.Verified) {
	wanted := slices.ContainsFunc(c.Rule.Attestations, func(a policy.Attestation) bool { return a.Type == v.PredicateType && has(a.By, v.Key) })
	if !wanted {
		c.ignore(v.Candidate, fault.Refusedf("not_a_signature", "", "%s is an attestation of the type %s, not a signature", v.Manifest, v.PredicateType))
		return
	}
	if err := c.Rule.Validity[v.Key.Fingerprint].Problem(c.Now); err != nil {
		c.ignore(v.Candidate, err)
		return
	}
	at, _ := PredicateTime(v.PredicateType, v.Predicate)
	c.statements = append(c.statements, statement{v, at})
}

// attestationsDone reports whether the attestations are met whatever is still
// unread. Newest and All depend on everything.
func (c *check) attestationsDone() bool {
	for _, a := range c.Rule.Attestations {
		if a.Which != policy.Any || c.attestation(a).Outcome != fault.Passed {
			return false
		}
	}
	return true
}

// attestation decides one requirement by the statements that were read.
func (c *check) attestation(a policy.Attestation) Finding {
	f := Finding{Check: "attestation " + a.Type, Outcome: fault.Refused}
	if e, skipped := c.Rule.Skips("attestations"); skipped {
		f.Outcome, f.Code, f.Fact = fault.Passed, "exception", e.String()
		return f
	}
	mine := slices.DeleteFunc(slices.Clone(c.statements), func(s statement) bool { return s.PredicateType != a.Type || !has(a.By, s.Key) })
	signers, near := map[string]bool{}, reason{}
	for _, s := range candidates(mine, a.Which) {
		r := c.unmet(s, a)
		if r.code == "" {
			signers[s.Key.Fingerprint] = true
			continue
		}
		if near = r; a.Which != policy.Any {
			signers = nil // one that does not meet it is enough
			break
		}
	}
	unknown := c.firstUnknown()
	switch {
	case unknown != nil && (a.Which != policy.Any || len(signers) < a.By.Min):
		f.Outcome, f.Code, f.Fact, f.Next = fault.Undecided, unknown.Code, unknown.Why, "nothing was decided; run the gate again when the cause is gone"
	case len(signers) >= a.By.Min:
		f.Outcome, f.Code, f.Fact = fault.Passed, "passed", fmt.Sprintf("attested by %s", fingerprintNames(a.By, signers))
	case near.code != "":
		f.Code, f.Fact, f.Next = near.code, near.why, "make the attestation anew from a run that meets the condition"
	case len(mine) > 0:
		f.Code, f.Fact, f.Next = "threshold", fmt.Sprintf("%d of %d keys have attested it", len(signers), a.By.Min), "attest it with another of the keys"
	default:
		f.Code, f.Fact, f.Next = "attestation_missing", c.foundTypes(a), "run the step that attests before the gate"
	}
	return f
}

// candidates returns the statements that have to meet a condition: all, or the
// newest. Statements of one time are equally new.
func candidates(all []statement, which policy.Which) []statement {
	if which != policy.Newest || len(all) == 0 {
		return all
	}
	newest := slices.MaxFunc(all, func(a, b statement) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) }).at
	return slices.DeleteFunc(slices.Clone(all), func(s statement) bool { return !s.at.Equal(newest) })
}

// unmet says why a statement does not meet the requirement.
func (c *check) unmet(s statement, a policy.Attestation) reason {
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
	err := a.Where.Meets(policy.Facts{Predicate: s.Predicate, PredicateType: s.PredicateType, Repository: c.Subject.Repository, Digest: c.Subject.Digest, Tag: c.tags[0]})
	if err != nil {
		return reason{fault.CodeOf(err), err.(*fault.Error).What + " (" + s.Manifest + ")"}
	}
	return reason{}
}

// foundTypes says what is there in place of the attestation.
func (c *check) foundTypes(a policy.Attestation) string {
	fact := fmt.Sprintf("it has no attestation of the type %s by %s", a.Type, a.By.Name)
	for _, s := range c.statements {
		if s.PredicateType != a.Type {
			fact += "; it has one of the type " + s.PredicateType
		}
	}
	return fact
}

// PredicateTime returns when a predicate says that it was made, and the field
// that says so. Nobody but its signer vouches for that.
func PredicateTime(predicateType string, predicate map[string]any) (time.Time, string) {
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
	var value any = predicate
	for _, name := range fields {
		m, ok := value.(map[string]any)
		if !ok {
			return time.Time{}, ""
		}
		value = m[name]
	}
	text, _ := value.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, ""
	}
	return t, "predicate." + fmt.Sprint(fields)
}
