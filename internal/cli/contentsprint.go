package cli

import (
	"errors"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// contentsView is what contents check says of one image.
type contentsView struct {
	image.Subject
	Outcome     string            `json:"outcome"`
	Attestation string            `json:"attestation,omitempty"` // the digest of its manifest
	Key         string            `json:"key,omitempty"`         // who made it
	Layers      int               `json:"layers"`                // that were attested
	Files       int               `json:"files"`
	Compared    int               `json:"compared"` // layers and files
	Findings    []contentsFinding `json:"findings"`

	outcomes []fault.Outcome
}

type contentsFinding struct {
	Outcome   string `json:"outcome"`
	JSONPath  string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"` // in its place, of a path that is not UTF-8
	contents.Finding
	Next string `json:"next,omitempty"`
}

func findingOf(f contents.Finding) contentsFinding {
	out := contentsFinding{Outcome: f.Outcome.String(), Finding: f}
	if utf8.ValidString(f.Path) {
		out.JSONPath = f.Path
	} else {
		out.PathBytes = []byte(f.Path)
	}
	return out
}

func (v *contentsView) add(findings ...contents.Finding) {
	for _, f := range findings {
		v.outcomes = append(v.outcomes, f.Outcome)
		v.Findings = append(v.Findings, findingOf(f))
	}
}

func (v *contentsView) fail(err error) {
	v.add(contents.Finding{Outcome: fault.OutcomeOf(err), Code: fault.CodeOf(err), Fact: err.Error()})
	if f, ok := errors.AsType[*fault.Error](err); ok {
		last := &v.Findings[len(v.Findings)-1]
		last.Fact, last.Next = f.What, f.Next
	}
}

func (v *contentsView) decided() fault.Outcome { return fault.Worst(v.outcomes...) }

// printContents prints the views, and returns what they come to.
func (r *run) printContents(views []contentsView, output string) error {
	var outcomes []fault.Outcome
	for i := range views {
		outcomes = append(outcomes, views[i].decided())
		views[i].Outcome = views[i].decided().String()
		views[i].Findings = append([]contentsFinding{}, views[i].Findings...)
	}
	var err error
	if output == "json" {
		err = report.WriteJSON(r.process.Stdout, views)
	} else {
		var b strings.Builder
		for _, v := range views {
			v.text(&b)
		}
		_, err = io.WriteString(r.stdout(), b.String())
	}
	if err != nil {
		return fault.Undecidedf("output_unwritable", "check where standard output goes", "the result cannot be printed: %w", err)
	}
	return ended(fault.Worst(outcomes...))
}

func (v contentsView) text(b *strings.Builder) {
	report.Line(b, "%s: %s", strings.TrimSpace(v.Subject.String()+" "+v.Platform), v.Outcome)
	if v.Attestation != "" {
		report.Line(b, "    %d layers and %d files attested by %s (%s), %d compared", v.Layers, v.Files, v.Key, v.Attestation, v.Compared)
	}
	for _, f := range v.Findings {
		what := f.Fact
		if f.Path != "" {
			what = path.Join("/", f.Path) + ": " + f.Fact
		}
		if f.Next != "" {
			what += "; " + f.Next
		}
		report.Line(b, "    %s: %s", f.Code, what)
	}
	if len(v.Findings) == contents.MaxFindings {
		report.Line(b, "    the check ended here: there may be more")
	}
}
