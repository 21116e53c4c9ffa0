package report

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// SARIF writes what did not pass in the form that code scanning reads: SARIF
// 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), within what GitHub
// takes of it (https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
// After a pass there are no results, which closes the alerts of earlier runs; a
// run that did not pass has at least one.
func (r *Report) SARIF(w io.Writer) error {
	results := r.sarifResults()
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{"signgate", r.Version, "https://github.com/signgate/signgate", r.sarifRules(results)}},
		Automation:  sarifID{"signgate/" + r.verb() + "/"},
		Invocations: []sarifInvocation{{r.ExitCode, r.Passed() || r.Outcome == "refused"}},
		Results:     results,
		ColumnKind:  "unicodeCodePoints",
	}
	return WriteJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// mostResults is how many GitHub shows of one run.
const mostResults = 5000

// sarifResults returns a result for the error of the run and for each finding
// that did not pass.
func (r *Report) sarifResults() []sarifResult {
	out := []sarifResult{}
	times := map[string]int{}
	add := func(f Finding, s *Subject) {
		if len(out) < mostResults {
			out = append(out, r.sarifResult(f, s, times))
		}
	}
	if e := r.Error; e != nil {
		add(Finding{Outcome: r.Outcome, Code: e.Code, Check: r.Command, Fact: e.Message}, nil)
	}
	for _, g := range r.groups() {
		for i, s := range g {
			for _, f := range s.Findings {
				if f.Outcome != "passed" {
					add(f, &g[i])
				}
			}
		}
	}
	if len(out) == 0 && !r.Passed() {
		add(Finding{Outcome: r.Outcome, Code: "interrupted", Check: r.Command, Fact: "the run did not come to its end, and nothing was decided", Next: "run again"}, nil)
	}
	return out
}

// sarifResult turns a finding into a result; s is nil for the run itself.
func (r *Report) sarifResult(f Finding, s *Subject, times map[string]int) sarifResult {
	image, level := "", "error"
	if f.Outcome == "undecided" || s != nil && s.Spared {
		level = "warning"
	}
	location := sarifLocation{Physical: sarifPhysical{sarifArtifact{r.sarifFile()}, sarifRegion{1}}}
	if s != nil {
		image = s.Repository + " " + s.Platform
		location.Logical = []sarifLogical{{Clean(s.label()), Clean(s.Subject.String()), "module"}}
	}
	text := f.sentence()
	if s != nil {
		text = s.label() + ": " + text
	}
	print := fingerprint(image, f.Check, f.Tag, f.Code)
	times[print]++
	return sarifResult{
		RuleID: f.Code, Level: level, Message: sarifText{Text: sarifMessage(text)}, Locations: []sarifLocation{location},
		Fingerprints: map[string]string{"primaryLocationLineHash": fmt.Sprintf("%s:%d", print, times[print])},
	}
}

// sarifMessage writes a text as a message without links and placeholders, which
// the standard finds in "[text](target)" and "{0}" (3.11.5 and 3.11.6).
func sarifMessage(s string) string {
	return placeholder.ReplaceAllString(strings.ReplaceAll(bounded(s, 8<<10), "](", "] ("), "{ $1")
}

var placeholder = regexp.MustCompile(`\{([0-9])`)

// fingerprint is what an alert is known by from run to run: the image without
// its digest, which differs with every build, and the check that did not pass.
// GitHub compares the one named primaryLocationLineHash.
func fingerprint(parts ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(parts, "\x00"))))[:16]
}

// sarifFile is where an alert is shown. It has to be a file of the repository:
// the workflow that ran, or else the policy or the trusted keys, or else what
// images are built from.
func (r *Report) sarifFile() string {
	if r.Run != nil {
		file, _, _ := strings.Cut(r.Run.WorkflowRef, "@")
		if file, ours := strings.CutPrefix(file, r.Run.Repository+"/"); ours && inRepository(file) {
			return sarifURI(file)
		}
	}
	for _, t := range r.Trust {
		if file := path.Clean(t.Source); inRepository(file) && t.Source != "inline" && !strings.Contains(t.Source, "://") {
			return sarifURI(file)
		}
	}
	return "Dockerfile"
}

func inRepository(file string) bool {
	return file != "" && file != "." && !path.IsAbs(file) && !strings.HasPrefix(path.Clean(file), "..") && Clean(file) == file
}

// sarifURI writes a path as a relative reference (RFC 3986, section 4.2).
func sarifURI(file string) string {
	var b strings.Builder
	for _, c := range []byte(file) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sarifRules describes each code that a result has.
func (r *Report) sarifRules(results []sarifResult) []sarifRule {
	out := []sarifRule{}
	for _, result := range results {
		id := result.RuleID
		if slices.ContainsFunc(out, func(o sarifRule) bool { return o.ID == id }) {
			continue
		}
		m := meaningOf(id)
		what, next := m.absolute(docs(r.Version))
		out = append(out, sarifRule{
			ID: id, Name: id, Short: sarifText{Text: strings.ReplaceAll(id, "_", " ")}, Full: sarifText{Text: plainText(what)}, HelpURI: r.help(id),
			Help:       sarifText{Text: plainText(what + ". What to do: " + next), Markdown: what + "\n\n**What to do:** " + next + "\n\n[More about " + "`" + id + "`](" + r.help(id) + ")"},
			Properties: sarifProperties{[]string{"security", "supply-chain"}},
		})
	}
	slices.SortFunc(out, func(a, b sarifRule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
