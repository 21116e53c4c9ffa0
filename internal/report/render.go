package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// JSON writes the report as indented JSON.
func (r *Report) JSON(w io.Writer) error { return WriteJSON(w, r) }

// WriteJSON writes v as indented JSON in which the runner finds no workflow
// command: "##[", which it takes for one anywhere in a line, can only stand in
// a string and is escaped there.
func WriteJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("##["), []byte(`##\u005b`)))
	return err
}

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

// Line adds a line to b. Control characters in it, which a registry or a
// workflow may have put there, become spaces: they cannot make lines of their
// own or move the cursor.
func Line(b *strings.Builder, format string, args ...any) {
	b.WriteString(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, fmt.Sprintf(format, args...)))
	b.WriteByte('\n')
}

func (s Subject) text(b *strings.Builder) {
	if s.Signed+s.Existing > 0 {
		Line(b, "    signatures: %d new, %d already there", s.Signed, s.Existing)
	}
	if len(s.Promoted) > 0 {
		Line(b, "    promoted: %s", strings.Join(s.Promoted, ", "))
	}
	for _, sig := range s.Signatures {
		Line(b, "    %s by %s (%s)", sig.Format, sig.signer(), sig.Store)
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

// signer names the key, with its fingerprint unless the name has it already.
func (s Signature) signer() string {
	if strings.Contains(s.Key, s.Fingerprint) {
		return s.Key
	}
	return s.Key + " " + s.Fingerprint
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
	case !r.Verified() && !r.DryRun:
		return "PASSED, because the rule only warns: it would have been refused, and nothing is verified"
	case r.DryRun:
		return "PASSED as a dry run: nothing was written"
	case r.Proof == ProofStored:
		return "PASSED: the signatures are in the registry (no trusted keys were given, so whose keys they are was not checked)"
	}
	return "PASSED: the required trusted keys have signed"
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

// Summary returns the report as sections of Markdown: the verdict, a table of
// images, then what failed and the warnings.
func (r *Report) Summary() []string {
	sections := []string{fmt.Sprintf("## signgate %s: %s\n\n%s\n", r.Command, strings.ToUpper(r.Outcome), escape(r.verdict()))}
	if r.Error != nil {
		sections = append(sections, fmt.Sprintf("**%s**: %s\n", r.Error.Code, escape(r.Error.Message)))
	}
	if len(r.Subjects) > 0 {
		sections = append(sections, r.table())
	}
	for _, s := range r.Subjects {
		sections = append(sections, s.failures()...)
	}
	for _, k := range r.Keys {
		sections = append(sections, k.details())
	}
	for _, w := range r.Warnings {
		sections = append(sections, "> [!WARNING]\n> "+escape(w)+"\n")
	}
	return sections
}

func (k Key) details() string {
	kept := ""
	if k.Custody != nil {
		kept = escape(k.custody()) + "\n\n"
	}
	return fmt.Sprintf("<details><summary>Public key %s</summary>\n\n%s```\n%s```\n\n</details>\n", escape(k.Fingerprint), kept, k.PublicKey)
}

func (r *Report) table() string {
	var b strings.Builder
	b.WriteString("| image | digest | key | formats | result |\n|---|---|---|---|---|\n")
	for _, s := range r.Subjects {
		name := s.Repository
		if len(s.Tags) > 0 {
			name += ":" + strings.Join(s.Tags, ", ")
		}
		if s.Platform != "" {
			name += " (" + s.Platform + ")"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s %s |\n", escape(name), s.Digest, escape(s.keys()), s.formats(), mark(s.Outcome), s.Outcome)
	}
	return b.String()
}

// keys returns the keys whose signatures counted, each once.
func (s Subject) keys() string {
	var out []string
	seen := map[string]bool{}
	for _, sig := range s.Signatures {
		if !seen[sig.Key] {
			seen[sig.Key] = true
			out = append(out, sig.Key)
		}
	}
	return strings.Join(out, ", ")
}

func (s Subject) failures() []string {
	var out []string
	for _, f := range s.Findings {
		if f.Outcome != "passed" {
			out = append(out, fmt.Sprintf("- **%s** `%s` – %s\n", f.Code, s.Digest, escape(f.sentence())))
		}
	}
	return out
}

// escape makes text that a registry or a workflow controls harmless in
// Markdown: no markup, no table cells, no lines of its own.
func escape(s string) string {
	return strings.NewReplacer(
		"\\", "\\\\", "&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]",
		"!", "\\!", "\r", " ", "\n", " ",
	).Replace(s)
}
