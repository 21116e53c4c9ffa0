package cli

import (
	"io"
	"strings"

	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

func (r *run) printChecked(all []checkedPolicy, output string) error {
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, all)
	}
	var b strings.Builder
	for _, c := range all {
		c.text(&b)
	}
	_, err := io.WriteString(r.stdout(), b.String())
	return err
}

func (c checkedPolicy) text(b *strings.Builder) {
	for _, m := range c.Problems {
		report.Line(b, "%s:%d:%d: %s; %s", c.File, m.Line, m.Column, m.What, m.Fix)
	}
	if len(c.Problems) > 0 {
		return
	}
	report.Line(b, "%s", c.File)
	for _, k := range c.Keys {
		report.Line(b, "  key %s: %s %s, from %s, %s", k.Name, k.Type, k.Fingerprint, k.Source, k.Validity)
	}
	for _, r := range c.Rules {
		r.text(b)
	}
	for _, e := range c.Exceptions {
		report.Line(b, "  %s; %d days left", e.Text, e.DaysLeft)
	}
	report.Line(b, "policy-sha256: %s", c.SHA256)
}

func (r ruleView) text(b *strings.Builder) {
	var names []string
	for _, p := range r.Patterns {
		names = append(names, p.String())
	}
	mode := ""
	if r.Mode == policy.Warn {
		mode = ", which only warns"
	}
	report.Line(b, "  rule %s%s", strings.Join(names, ", "), mode)
	for _, s := range r.Requires {
		report.Line(b, "    %s", s)
	}
}
