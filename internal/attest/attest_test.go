package attest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

func subjects(n int) (out []image.Subject) {
	for i := range n {
		out = append(out, image.Subject{Repository: "r.example/app", Digest: image.DigestOf([]byte{byte(i)})})
	}
	return out
}

// TestStatement: what is written is read again, with all subjects, and the
// predicate stays as it was given.
func TestStatement(t *testing.T) {
	p, err := attest.Custom("https://acme.example/x/v1", []byte(`{ "n": 9007199254740993, "f": 1.50, "s": "<\u00e9>" }`))
	if err != nil {
		t.Fatal(err)
	}
	list := subjects(3)
	text, err := attest.Statement(p, append(list, list[0])...)
	if err != nil {
		t.Fatal(err)
	}
	var v envelope.Verified
	if err := attest.Read(&v, text); err != nil {
		t.Fatal(err)
	}
	if v.PredicateType != p.Type || len(v.Subjects) != 3 || v.Subjects[2] != list[2].Digest || v.Claims != nil {
		t.Errorf("%+v", v)
	}
	if want := `{"n":9007199254740993,"f":1.50,"s":"<é>"}`; string(v.Predicate) != want {
		t.Errorf("the predicate is %s, want %s", v.Predicate, want)
	}
	if !bytes.HasPrefix(text, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"r.example/app","digest":{"sha256":"`)) {
		t.Errorf("%s", text)
	}
}

func TestObject(t *testing.T) {
	for text, why := range map[string]string{
		`{"a":{"b":1}}`:             "",
		` {"a" : [1, 2] } `:         "",
		`{"a":1,"a":1}`:             "duplicate",
		`{"a":{"b":1,"b":2}}`:       "duplicate",
		`{"a":1} {"b":2}`:           "after",
		`{"a":1`:                    "EOF",
		"{\"a\":\"\xff\"}":          "UTF-8",
		`[1]`:                       "an array",
		`"text"`:                    "a string",
		`1`:                         "a number",
		`null`:                      "null",
		``:                          "EOF",
		strings.Repeat(`[`, 20_000): "",
	} {
		body, err := attest.Object([]byte(text))
		if (err == nil) != (why == "" && text[0] != '[') {
			t.Errorf("%.40q: %s, %v", text, body, err)
		}
		if err != nil && (fault.CodeOf(err) != "predicate_invalid" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), why)) {
			t.Errorf("%.40q: %v, want it to say %q", text, err, why)
		}
	}
	large := `{"a":"` + strings.Repeat("x", attest.MaxPredicate) + `"}`
	if _, err := attest.Object([]byte(large)); fault.CodeOf(err) != "predicate_invalid" || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("too large: %v", err)
	}
	if _, err := attest.Object([]byte(large[:attest.MaxPredicate-2] + `"}`)); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
}

func TestType(t *testing.T) {
	for name, want := range map[string]string{
		"spdxjson": attest.SPDX, "cyclonedx": attest.CycloneDX, "vuln": attest.CosignVuln, "slsaprovenance1": attest.Provenance,
		"https://slsa.dev/provenance/v0.2": "https://slsa.dev/provenance/v0.2", "urn:x:y": "urn:x:y",
		"https://signgate.dev/attestation/contents/v1": attest.Contents,
	} {
		if got, err := attest.Type(name); got != want || err != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name := range map[string]bool{"spdxjson": true, "vuln": true, "slsaprovenance1": true, "custom": true, "urn:x:y": true} {
		if uri, err := attest.Type(name); err != nil || attest.Name(uri) != name {
			t.Errorf("%s is %s, and that is %s", name, uri, attest.Name(uri))
		}
	}
	for name, code := range map[string]string{
		"spdx-json": "predicate_type_invalid", "": "predicate_type_invalid", "https://a b": "predicate_type_invalid", "//x": "predicate_type_invalid",
		envelope.SignaturePredicate:                    "predicate_type_invalid",
		"https://slsa.dev/provenance/v2":               "predicate_version_unknown",
		"https://in-toto.io/attestation/vulns/v0.3":    "predicate_version_unknown",
		"https://signgate.dev/attestation/contents/v2": "predicate_version_unknown",
	} {
		if _, err := attest.Type(name); fault.CodeOf(err) != code || fault.OutcomeOf(err) != fault.Config {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
	}
}

// TestEssence: what says the same has one name, whatever its spaces, and when
// provenance was made does not matter.
func TestEssence(t *testing.T) {
	same := func(kind, a, b string) bool {
		return attest.Essence(kind, []byte(a)) == attest.Essence(kind, []byte(b))
	}
	run := func(id, at string) string {
		return `{"runDetails":{"builder":{"id":"x"},"metadata":{"invocationId":"` + id + `","finishedOn":"` + at + `"}}}`
	}
	for name, ok := range map[string]bool{
		"spaces":             same(attest.SPDX, `{"a":1}`, `{ "a": 1 }`),
		"content":            !same(attest.SPDX, `{"a":1}`, `{"a":2}`),
		"type":               attest.Essence("a:b", []byte(`{}`)) != attest.Essence("a:c", []byte(`{}`)),
		"provenance, time":   same(attest.Provenance, run("1", "2026-01-01T00:00:00Z"), run("1", "2026-01-02T00:00:00Z")),
		"provenance, run":    !same(attest.Provenance, run("1", "2026-01-01T00:00:00Z"), run("2", "2026-01-01T00:00:00Z")),
		"time of another":    !same(attest.CosignVuln, run("1", "2026-01-01T00:00:00Z"), run("1", "2026-01-02T00:00:00Z")),
		"strange provenance": same(attest.Provenance, `{"runDetails":[]}`, `{"runDetails": []}`),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

// FuzzRead: a statement is read or refused, and what is read has a subject.
func FuzzRead(f *testing.F) {
	digest := strings.Repeat("ab", 32)
	for _, text := range []string{
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"` + digest + `"},"annotations":{"a":1}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{"dev.signgate.claims":{"version":1}}}`,
		`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":"` + digest + `"}},{}],"predicateType":"x","predicate":{"a":[]}}`,
		`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicate":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v envelope.Verified
		if err := attest.Read(&v, text); err != nil {
			if fault.OutcomeOf(err) != fault.Refused {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if image.CheckDigest(v.SubjectDigest) != nil || !slices.Contains(v.Subjects, v.SubjectDigest) {
			t.Errorf("%q: %+v", text, v)
		}
		if v.PredicateType == envelope.SignaturePredicate && (len(v.Subjects) != 1 || v.Predicate != nil) {
			t.Errorf("%q: a signature with %+v", text, v)
		}
		_ = v.PredicateObject()
	})
}
