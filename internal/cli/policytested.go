package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
)

// judge compares the verdict with what was expected: the code has to be that
// of a finding which made the verdict.
func (t *testedCase) judge(subjects []report.Subject) {
	var outcomes []fault.Outcome
	spared := false
	for _, s := range subjects {
		outcomes = append(outcomes, s.Decided())
		t.Findings = append(t.Findings, s.Findings...)
		spared = spared || s.Spared
	}
	if t.Verdict = fault.Worst(outcomes...).String(); t.Verdict == fault.Passed.String() && spared {
		t.Verdict = warned
	}
	t.OK = t.Verdict == t.Expect.Verdict && (t.Expect.Code == "" || slices.Contains(t.codes(), t.Expect.Code))
}

// codes returns the codes of the findings that made the verdict.
func (t *testedCase) codes() []string {
	var out []string
	for _, f := range t.Findings {
		made := f.Outcome == t.Verdict || t.Verdict == warned && f.Outcome != fault.Passed.String()
		if made && !slices.Contains(out, f.Code) {
			out = append(out, f.Code)
		}
	}
	return out
}

func (r *run) printTested(all []testedCase, output string) error {
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, all)
	}
	var b strings.Builder
	failed := 0
	for _, t := range all {
		if t.OK {
			report.Line(&b, "ok   %s: %s", t.Case, t.Expect)
			continue
		}
		failed++
		report.Line(&b, "FAIL %s: expected %s, got %s %s", t.Case, t.Expect, t.Verdict, strings.Join(t.codes(), ", "))
		for _, f := range t.Findings {
			report.Line(&b, "     %s", findingLine(f))
		}
	}
	report.Line(&b, "%d cases, %d failed", len(all), failed)
	_, err := io.WriteString(r.stdout(), b.String())
	return err
}
