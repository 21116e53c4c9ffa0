package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, s := range r.Subjects {
		Line(&b, "%s %s", mark(s.Outcome), s.label())
		s.text(&b)
	}
	for _, k := range r.Keys {
		if k.Custody != nil {
			Line(&b, "key: %s: %s", k.ID, k.custody())
		}
	}
	for _, t := range r.Trust {
		Line(&b, "trust: %s (sha256 %s)", t.Source, t.SHA256)
	}
	Line(&b, "%s: %s", r.Command, r.verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

// Line adds a line to b. What foreign text in it could do to a terminal or to
// the lines around is undone, see Clean.
func Line(b *strings.Builder, format string, args ...any) {
	b.WriteString(Clean(fmt.Sprintf(format, args...)))
	b.WriteByte('\n')
}

func (s Subject) text(b *strings.Builder) {
	if s.Signed+s.Existing > 0 {
		Line(b, "    signatures: %d new, %d already there", s.Signed, s.Existing)
	}
	if s.Attested+s.AttestedThen > 0 {
		Line(b, "    attestations: %d new, %d already there", s.Attested, s.AttestedThen)
	}
	if len(s.Promoted) > 0 {
		Line(b, "    promoted: %s", strings.Join(s.Promoted, ", "))
	}
	for _, sig := range s.Signatures {
		Line(b, "    %s by %s (%s)", sig.Format, keyName(sig.Key, sig.Fingerprint), sig.Store)
	}
	for _, a := range s.Attestations {
		Line(b, "    %s attested by %s (%s)", a.Type, keyName(a.Key, a.Fingerprint), a.Store)
	}
	for _, f := range s.Findings {
		if f.Outcome != "passed" {
			Line(b, "    %s %s: %s", f.Outcome, f.Code, f.sentence())
		}
	}
	for _, i := range s.Ignored {
		if s.Outcome == "passed" {
			break // others may sign, too; the JSON has them
		}
		Line(b, "    not counted: %s (%s)", i.Why, i.Code)
	}
	for _, k := range s.Skipped {
		Line(b, "    left out: %s, %s", k.Digest, k.Reason)
	}
}

// keyName names a key, with its fingerprint unless the name has it already.
func keyName(key, fingerprint string) string {
	if strings.Contains(key, fingerprint) {
		return key
	}
	return key + " " + fingerprint
}

func (f Finding) sentence() string {
	s := f.Check
	if f.Tag != "" {
		s += " for the tag " + f.Tag
	}
	s += ": " + f.Fact
	if f.Next != "" {
		s += "; " + f.Next
	}
	return s
}

// verdict is the run in one line.
func (r *Report) verdict() string {
	switch {
	case !r.Passed():
		return fmt.Sprintf("%s (exit code %d)", strings.ToUpper(r.Outcome), r.ExitCode)
	case r.DryRun:
		return "PASSED as a dry run: nothing was written"
	case !r.Verified():
		return "PASSED, because the rule only warns: it would have been refused, and nothing is verified"
	case r.Proof == ProofStored:
		return "PASSED: the " + r.work() + " are in the registry (no trusted keys were given, so whose keys they are was not checked)"
	case r.Command == "attest":
		return "PASSED: the attestations are in the registry, by keys that are trusted"
	}
	if r.attested() && r.Command == "verify" {
		return "PASSED: the required trusted keys have signed and attested"
	}
	return "PASSED: the required trusted keys have signed"
}

// work is what the run makes.
func (r *Report) work() string {
	switch {
	case r.Command == "attest":
		return "attestations"
	case r.attested():
		return "signatures and attestations"
	}
	return "signatures"
}

// attested reports whether attestations have counted.
func (r *Report) attested() bool {
	return slices.ContainsFunc(r.Subjects, func(s Subject) bool { return len(s.Attestations) > 0 })
}

// custody says how the key is kept, and whose word that is.
func (k Key) custody() string {
	return k.Custody.String() + " (the word of its module, which is trusted in this)"
}

func mark(outcome string) string {
	switch outcome {
	case "passed":
		return "✓"
	case "refused":
		return "✗"
	}
	return "?"
}

// label names a subject in a line: the reference, its tags and its platform.
func (s Subject) label() string {
	label := s.Subject.String()
	if s.Platform != "" {
		label += " (" + s.Platform + ")"
	}
	if len(s.Tags) > 0 {
		label += " [" + strings.Join(s.Tags, ", ") + "]"
	}
	return label
}
