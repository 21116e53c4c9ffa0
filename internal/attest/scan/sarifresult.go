package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// sarifRule is a reportingDescriptor (clause 3.49).
type sarifRule struct {
	ID   string `json:"id"`
	Help struct {
		Text string `json:"text"`
	} `json:"help"`
	Default struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Properties sarifScore `json:"properties"`

	said map[string]string // the lines of Help, of tools that write them
}

// sarifScore is where GitHub reads a CVSS score from, a text or a number
// (https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
type sarifScore struct {
	Severity jsontext.Value `json:"security-severity"`
}

// sarifResult is a result (clause 3.27).
type sarifResult struct {
	RuleID    string `json:"ruleId"`
	RuleIndex *int   `json:"ruleIndex"`
	Rule      struct {
		ID string `json:"id"`
	} `json:"rule"`
	Kind     string `json:"kind"`
	Level    string `json:"level"`
	Baseline string `json:"baselineState"`
	Message  struct {
		Text string `json:"text"`
	} `json:"message"`
	Locations []struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
		} `json:"physicalLocation"`
	} `json:"locations"`
	Suppressions []struct {
		Status string `json:"status"`
	} `json:"suppressions"`
	Properties sarifScore `json:"properties"`
}

// count adds the findings of all runs, and notes what does not count and what has
// no score.
func (log *sarifLog) count(r *report) {
	ignored, unscored := 0, 0
	for _, run := range log.Runs {
		rules := run.rules()
		for _, result := range run.Results {
			switch {
			case result.suppressed():
				ignored++
			case result.found():
				f, scored := result.finding(&run, rules)
				r.findings = append(r.findings, f)
				if !scored {
					unscored++
				}
			}
		}
	}
	if len(r.findings) == 0 && r.scanner.name == "trivy" {
		r.notes = append(r.notes, trivyFoundNothing)
	}
	if ignored > 0 {
		r.notes = append(r.notes, suppressed(ignored))
	}
	if unscored > 0 {
		r.notes = append(r.notes, fmt.Sprintf("results without a security-severity: %d; their level stands for it, of which the worst, error, is high, so a policy that looks at critical alone does not see them", unscored))
	}
}

// rules returns the rules of the driver and its extensions by their ids. Of rules
// with one id the one with the highest score stays.
func (run *sarifRun) rules() map[string]sarifRule {
	out := map[string]sarifRule{}
	for _, tool := range append([]sarifTool{run.Tool.Driver}, run.Tool.Extensions...) {
		for _, rule := range tool.Rules {
			if known, twice := out[rule.ID]; !twice || rule.Properties.score() > known.Properties.score() {
				rule.said = linesOf(rule.Help.Text)
				out[rule.ID] = rule
			}
		}
	}
	return out
}

// suppressed reports whether all suppressions of a result are accepted
// (clause 3.27.23).
func (r *sarifResult) suppressed() bool {
	for _, s := range r.Suppressions {
		if s.Status != "" && s.Status != "accepted" {
			return false
		}
	}
	return len(r.Suppressions) > 0
}

// found reports whether a result is a finding: not a check that passed or did not
// apply (clause 3.27.9), nor one of an earlier run that is no more (clause 3.27.24).
func (r *sarifResult) found() bool {
	return !slices.Contains([]string{"pass", "notApplicable", "informational"}, r.Kind) && r.Baseline != "absent"
}

// finding returns the result, and whether its severity comes from a score.
func (r *sarifResult) finding(run *sarifRun, rules map[string]sarifRule) (finding, bool) {
	id := cmp.Or(r.RuleID, r.Rule.ID)
	if i := r.RuleIndex; id == "" && i != nil && *i >= 0 && *i < len(run.Tool.Driver.Rules) {
		id = run.Tool.Driver.Rules[*i].ID
	}
	rule := ruleOf(id, rules)
	score := cmp.Or(r.Properties.score(), rule.Properties.score())
	f := finding{ID: id, Severity: ofScore(score)}
	if score == 0 {
		f.Severity = ofLevel(cmp.Or(r.Level, rule.Default.Level, "warning"))
	}
	if len(r.Locations) > 0 {
		f.Location = r.Locations[0].Physical.Artifact.URI
	}
	if name := run.Tool.Driver.scanner().name; name == "trivy" || name == "grype" {
		f.read(linesOf(r.Message.Text), rule.said)
	}
	return f, score > 0
}

// ruleOf returns the rule of a result. Ids can be hierarchical (clause 3.5.4): the
// rule of a/b/c may be that of a. Nobody needs more than a few levels.
func ruleOf(id string, rules map[string]sarifRule) sarifRule {
	rule, known := rules[id]
	for level := 0; !known && level < 8; level++ {
		at := strings.LastIndexByte(id, '/')
		if at < 0 {
			break
		}
		id = id[:at]
		rule, known = rules[id]
	}
	return rule
}

// score returns a CVSS score, and 0 when there is none above it.
func (s sarifScore) score() float64 {
	score, err := strconv.ParseFloat(strings.Trim(string(s.Severity), `"`), 64)
	if err != nil || !(score > 0 && score <= 10) {
		return 0
	}
	return score
}

// ofScore returns the severity of a CVSS score
// (https://www.first.org/cvss/v3.1/specification-document, section 5).
func ofScore(score float64) string {
	switch {
	case score >= 9:
		return "critical"
	case score >= 7:
		return "high"
	case score >= 4:
		return "medium"
	}
	return "low"
}

// ofLevel returns the severity that a level stands for (clause 3.27.10).
func ofLevel(level string) string {
	of := map[string]string{"error": "high", "warning": "medium", "note": "low", "none": "negligible"}
	return cmp.Or(of[level], "unknown")
}
