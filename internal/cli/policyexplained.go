package cli

import (
	"io"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/report"
)

func sameKey(k envelope.Key) func(envelope.Key) bool {
	return func(o envelope.Key) bool { return o.Fingerprint == k.Fingerprint }
}

func (r *run) printExplanation(e explanation, output string) error {
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, e)
	}
	var b strings.Builder
	report.Line(&b, "%s", e.Image)
	e.text(&b)
	for _, s := range e.Found {
		explainSubject(&b, s)
	}
	_, err := io.WriteString(r.stdout(), b.String())
	return err
}

func (e explanation) text(b *strings.Builder) {
	report.Line(b, "the rule for %s of %s applies", e.Pattern, e.Policy.Source)
	for _, o := range e.Others {
		report.Line(b, "    %s matches as well and is less specific", o)
	}
	if e.Rule.Mode == "warn" {
		report.Line(b, "it only warns: verify passes without having verified anything")
	}
	report.Line(b, "it requires")
	for _, s := range e.Rule.Requires {
		report.Line(b, "    %s", s)
	}
	report.Line(b, "its keys")
	for _, k := range e.Keys {
		note := ""
		if !k.Counts {
			note = ", does not count now"
		}
		report.Line(b, "    %s: %s %s, %s%s", k.Name, k.Type, k.Fingerprint, k.Validity, note)
	}
	for _, x := range e.Exceptions {
		report.Line(b, "%s", x)
	}
}

// explainSubject says what was found of a manifest and what verify would make
// of it.
func explainSubject(b *strings.Builder, s report.Subject) {
	report.Line(b, "%s", strings.TrimSpace(s.Subject.String()+" "+s.Platform))
	for _, sig := range s.Signatures {
		report.Line(b, "    there is a %s signature by %s (%s)", sig.Format, sig.Key, sig.Store)
	}
	for _, i := range s.Ignored {
		report.Line(b, "    does not count: %s (%s)", i.Why, i.Code)
	}
	for _, f := range s.Findings {
		report.Line(b, "    %s", findingLine(f))
	}
	switch {
	case s.Spared:
		report.Line(b, "    verify would pass, because the rule only warns")
	case s.Outcome == "passed":
		report.Line(b, "    verify would pass")
	case s.Outcome == "refused":
		report.Line(b, "    verify would refuse")
	default:
		report.Line(b, "    verify could not decide")
	}
}

// findingLine is a finding in one line; one that passed has no code of its own.
func findingLine(f report.Finding) string {
	line := f.Outcome
	if f.Code != f.Outcome {
		line += " " + f.Code
	}
	line += ": " + f.Check
	if f.Tag != "" {
		line += " for the tag " + f.Tag
	}
	line += ": " + f.Fact
	if f.Next != "" {
		line += "; " + f.Next
	}
	return line
}
