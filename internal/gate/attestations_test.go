package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// attesting is a rule from a policy file, as conditions come from nowhere else.
func attesting(t testing.TB, k signerKey, s image.Subject, attestation string) policy.Rule {
	w := &world{keys: []worldKey{{signerKey: k, name: "k"}}, groups: []worldGroup{{[]int{0}, 1}}}
	text := w.yaml() + "    attestations:\n      - " + attestation + "\n"
	p, err := policy.Load(policy.Source{Name: "p", Text: []byte(text), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	rule, err := p.For(s, now)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func (k signerKey) attest(t testing.TB, s image.Subject, kind, predicate string) envelope.Candidate {
	return k.statement(t, fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":%s}`, s.Digest[7:], kind, predicate))
}

// TestConditionForEachTag: a condition on the tag has to be true of each tag that
// was asked for, and the order of the tags decides nothing.
func TestConditionForEachTag(t *testing.T) {
	k := newKey(t, "a")
	for _, tags := range [][]string{{"1.4", "stable"}, {"stable", "1.4"}} {
		s := subject(tags...)
		rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}, where: predicate.tag == image.tag}`)
		one := []envelope.Candidate{k.bundle(t, s, k.claims(s), nil), k.attest(t, s, provenance, `{"tag":"1.4"}`)}
		if v := check(t, s, rule, of(one...)); v.Outcome() != fault.Refused {
			t.Errorf("%v, attested for one of them: %+v", tags, v.Findings)
		}
		if v := check(t, s, rule, of(append(one, k.attest(t, s, provenance, `{"tag":"stable"}`))...)); v.Outcome() != fault.Passed {
			t.Errorf("%v, attested for both: %+v", tags, v.Findings)
		}
	}
}

// TestAttestationsAlone: a rule may ask for attestations and no signature, and then
// signatures decide nothing.
func TestAttestationsAlone(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}}`)
	rule.Require = nil
	signature, good := k.bundle(t, s, k.claims(s), nil), k.attest(t, s, provenance, `{}`)
	if v := check(t, s, rule, of(signature, good)); v.Outcome() != fault.Passed {
		t.Errorf("attested: %+v", v.Findings)
	}
	if v := check(t, s, rule, of(signature)); v.Outcome() != fault.Refused || len(v.Findings) != 1 || v.Findings[0].Code != "attestation_missing" {
		t.Errorf("signed: %+v", v.Findings)
	}
}

// TestStoredAttestation: who asks for what this run has written gets that and no
// other attestation of the kind, in the form that was written.
func TestStoredAttestation(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}}`)
	ours, other := k.attest(t, s, provenance, `{"n":1}`), k.attest(t, s, provenance, `{"n":2}`)
	rule.Require, rule.Attestations[0].By.Only = nil, map[string]bool{image.DigestOf(ours.Blob): true}
	if v := check(t, s, rule, of(other, ours)); v.Outcome() != fault.Passed || len(v.Attested) != 1 {
		t.Errorf("ours: %+v", v.Findings)
	}
	if v := check(t, s, rule, of(other)); v.Outcome() != fault.Refused || v.Findings[0].Code != "write_lost" {
		t.Errorf("another: %+v", v.Findings)
	}
	rule.Attestations[0].By.Formats = []envelope.Format{envelope.DSSE}
	if v := check(t, s, rule, of(ours)); v.Outcome() != fault.Refused {
		t.Errorf("the other form: %+v", v.Findings)
	}
}

// TestNewestOfAllTimes: times beyond those that fit into 64 bits of nanoseconds
// are compared as well.
func TestNewestOfAllTimes(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+vulns+`", by: {keys: [k]}, which: newest, maxAge: 7d, where: predicate.ok}`)
	scan := func(ok bool, at string) envelope.Candidate {
		return k.attest(t, s, vulns, fmt.Sprintf(`{"ok":%v,"metadata":{"scanFinishedOn":%q}}`, ok, at))
	}
	today := now.Format("2006-01-02T15:04:05Z")
	for _, ancient := range []string{"0002-01-01T00:00:00Z", "1400-01-01T00:00:00Z", "1600-01-01T00:00:00Z"} {
		from := []envelope.Candidate{k.bundle(t, s, k.claims(s), nil), scan(false, today), scan(true, ancient)}
		if v := check(t, s, rule, of(from...)); v.Findings[1].Code != "condition" {
			t.Errorf("%s beside today: %+v", ancient, v.Findings[1])
		}
	}
	for _, late := range []string{"2300-01-01T00:00:00Z", "9999-01-01T00:00:00Z"} {
		from := []envelope.Candidate{k.bundle(t, s, k.claims(s), nil), scan(true, today), scan(true, late)}
		if v := check(t, s, rule, of(from...)); v.Findings[1].Code != "claims_contradict" {
			t.Errorf("%s beside today: %+v", late, v.Findings[1])
		}
	}
}

// TestNewestWithoutTime: a statement that does not say its time may be the newest.
func TestNewestWithoutTime(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+vulns+`", by: {keys: [k]}, which: newest, maxAge: 7d, where: predicate.ok}`)
	good := k.attest(t, s, vulns, fmt.Sprintf(`{"ok":true,"metadata":{"scanFinishedOn":%q}}`, now.Format("2006-01-02T15:04:05Z")))
	undated := k.attest(t, s, vulns, `{"ok":false}`)
	for _, from := range [][]envelope.Candidate{{good, undated}, {undated, good}} {
		if v := check(t, s, rule, of(append(from, k.bundle(t, s, k.claims(s), nil))...)); v.Findings[1].Code != "claim_missing" {
			t.Errorf("%+v", v.Findings[1])
		}
	}
}

// TestCopies: one statement in many bundles is one statement, whose condition is
// evaluated once.
func TestCopies(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}, where: "predicate.list.all(x, x != 1)"}`)
	good := k.attest(t, s, provenance, `{"list":[2,3]}`)
	list := []envelope.Candidate{k.bundle(t, s, k.claims(s), nil)}
	for n := range 20 {
		c := good
		c.Blob = append(slices.Clone(good.Blob), strings.Repeat(" ", n)...)
		list = append(list, c)
	}
	rule.Attestations[0].By.Min = 1
	rule.Attestations[0].Which = policy.All
	v, err := gate.Check(t.Context(), gate.Request{Subject: s, Rule: rule, Now: now}, of(list...))
	if err != nil || v.Outcome() != fault.Passed || len(v.Attested) != 1 {
		t.Errorf("%v, %d attestations, %v", v.Outcome(), len(v.Attested), err)
	}
}

// TestCompiledOnce: all images of a policy share its conditions, which were
// compiled when it was loaded.
func TestCompiledOnce(t *testing.T) {
	k := newKey(t, "a")
	w := &world{keys: []worldKey{{signerKey: k, name: "k"}}, groups: []worldGroup{{[]int{0}, 1}}, atts: []worldAtt{{worldGroup{[]int{0}, 1}, provenance, policy.Any, true, false}}}
	p := w.load(t)
	one, err := p.For(subject("1"), now)
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.For(elsewhere(subject("2")), now)
	if err != nil || one.Attestations[0].Where == nil || one.Attestations[0].Where != two.Attestations[0].Where {
		t.Errorf("%p and %p, %v", one.Attestations[0].Where, two.Attestations[0].Where, err)
	}
}

// TestSeveralSubjects: a statement about several images is one about each.
func TestSeveralSubjects(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}, where: predicate.ok}`)
	about := func(digests ...string) envelope.Candidate {
		var list []string
		for _, d := range digests {
			list = append(list, `{"digest":{"sha256":"`+d[7:]+`"}}`)
		}
		return k.statement(t, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[`+strings.Join(list, ",")+`],"predicateType":"`+provenance+`","predicate":{"ok":true}}`))
	}
	other := "sha256:" + strings.Repeat("9", 64)
	for _, c := range []struct {
		from envelope.Candidate
		code string
	}{{about(s.Digest, other), "passed"}, {about(other, s.Digest), "passed"}, {about(other, other), "attestation_missing"}} {
		if v := check(t, s, rule, of(c.from, k.bundle(t, s, k.claims(s), nil))); v.Findings[1].Code != c.code {
			t.Errorf("%+v, want %s", v.Findings[1], c.code)
		}
	}
}

// TestAttestedMeets: what the verdict hands on is what met the rule.
func TestAttestedMeets(t *testing.T) {
	k, s := newKey(t, "a"), subject("1.4")
	rule := attesting(t, k, s, `{type: "`+provenance+`", by: {keys: [k]}, where: predicate.ok}`)
	rule.Base = &policy.Base{DigestFrom: "provenance"}
	good, bad := k.attest(t, s, provenance, `{"ok":true,"n":1}`), k.attest(t, s, provenance, `{"ok":false,"n":2}`)
	for _, from := range [][]envelope.Candidate{{good, bad}, {bad, good}} {
		v := check(t, s, rule, of(append(from, k.bundle(t, s, k.claims(s), nil))...))
		if v.Outcome() != fault.Passed || len(v.Attested) != 1 || string(v.Attested[0].Predicate) != `{"ok":true,"n":1}` {
			t.Errorf("%v, %+v", v.Findings, v.Attested)
		}
	}
}
