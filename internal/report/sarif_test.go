package report_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
)

// sarif is the part of SARIF that these tests read.
type sarif struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID, HelpURI string
					Help        struct{ Text, Markdown string }
				}
			}
		}
		Results []struct {
			RuleID, Level       string
			Message             struct{ Text string }
			PartialFingerprints map[string]string
			Locations           []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
				}
				LogicalLocations []struct{ FullyQualifiedName string }
			}
		}
	}
}

func sarifOf(t *testing.T, r *report.Report) (text []byte, out sarif) {
	t.Helper()
	var b bytes.Buffer
	if err := r.SARIF(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || len(out.Runs) != 1 {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	return b.Bytes(), out
}

// TestSARIF: every report is SARIF by the official schema, within the limits
// that GitHub sets: a file of the repository, a rule for each result, and no
// more results than it takes.
func TestSARIF(t *testing.T) {
	schema := compile(t, "testdata/sarif/sarif-schema-2.1.0.json")
	reports := fixtures()
	reports["very many"] = many(1100, 40, 1)
	for name, r := range reports {
		text, log := sarifOf(t, r)
		validate(t, schema, name, text)
		rules := map[string]bool{}
		for _, rule := range log.Runs[0].Tool.Driver.Rules {
			rules[rule.ID] = strings.Contains(rule.HelpURI, "/docs/errors.md#") && rule.Help.Text != "" && rule.Help.Markdown != ""
		}
		if n := len(log.Runs[0].Results); n > 5000 || (n == 0) != (r.Passed() && name != "warned") {
			t.Errorf("%s has %d results, and passed is %v", name, n, r.Passed())
		}
		for _, result := range log.Runs[0].Results {
			if regexp.MustCompile(`\]\(|\{[0-9]`).MatchString(result.Message.Text) {
				t.Errorf("%s: a link or a placeholder in %q", name, result.Message.Text)
			}
			uri := result.Locations[0].PhysicalLocation.ArtifactLocation.URI
			if !rules[result.RuleID] || !regexp.MustCompile(`^[\w.%~-]+(/[\w.%~-]+)*$`).MatchString(uri) {
				t.Errorf("%s: the rule of %s has no help, or %q is no file of a repository", name, result.RuleID, uri)
			}
		}
	}
}

// TestSARIFFingerprints: an alert is the same one in the next run, which is about
// another digest, and two alerts of one run are not the same.
func TestSARIFFingerprints(t *testing.T) {
	prints := func(r *report.Report) (out []string) {
		_, log := sarifOf(t, r)
		for _, result := range log.Runs[0].Results {
			out = append(out, result.PartialFingerprints["primaryLocationLineHash"])
		}
		return out
	}
	first, second := refusedRelease(), refusedRelease()
	for i := range second.Subjects {
		second.Subjects[i].Digest = digest(7000 + i)
		second.Subjects[i].Findings[0].Fact = "other words"
	}
	a, b := prints(first), prints(second)
	seen := map[string]bool{}
	for i := range a {
		if a[i] != b[i] || seen[a[i]] {
			t.Errorf("alert %d is known as %s, and in the next run as %s", i, a[i], b[i])
		}
		seen[a[i]] = true
	}
}

// TestSARIFFile: the place of an alert is the workflow, else what was trusted,
// and never a path out of the repository.
func TestSARIFFile(t *testing.T) {
	for _, tc := range []struct{ workflow, trust, want string }{
		{"acme/app/.github/workflows/a b.yml@refs/heads/main", "keys/x.pub", ".github/workflows/a%20b.yml"},
		{"other/app/.github/workflows/x.yml@main", "./keys/x.pub", "keys/x.pub"},
		{"acme/app/../../etc/passwd@main", "/etc/keys/x.pub", "Dockerfile"},
		{"", "env://KEYS", "Dockerfile"},
		{"", "inline", "Dockerfile"},
		{"", "../x.pub", "Dockerfile"},
	} {
		r := &report.Report{Command: "verify", Trust: []report.Trust{{Source: tc.trust}}}
		if tc.workflow != "" {
			r.Run = &envelope.Run{Repository: "acme/app", WorkflowRef: tc.workflow}
		}
		r.End(fault.Refused, fault.Refusedf("trust_mismatch", "review it", "it differs"))
		_, log := sarifOf(t, r)
		if got := log.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI; got != tc.want {
			t.Errorf("%s, %s: %s, want %s", tc.workflow, tc.trust, got, tc.want)
		}
	}
}

// TestSARIFOfAKilledRun: what stands there while a run goes on does not close
// the alerts of the runs before.
func TestSARIFOfAKilledRun(t *testing.T) {
	r := begun("verify")
	r.Outcome, r.ExitCode = fault.Undecided.String(), int(fault.Undecided)
	if _, log := sarifOf(t, r); len(log.Runs[0].Results) != 1 || log.Runs[0].Results[0].RuleID != "interrupted" {
		t.Errorf("%+v", log)
	}
}
