package storm

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// report is the part of the JSON report that these tests read.
type report struct {
	Outcome  string `json:"outcome"`
	ExitCode int    `json:"exitCode"`
	Error    *struct {
		Code, Message string
	} `json:"error"`
	Subjects []subject `json:"subjects"`
}

type subject struct {
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Outcome    string   `json:"outcome"`
	Signed     int      `json:"signed"`
	Existing   int      `json:"existing"`
	Written    []string `json:"written"`
	Findings   []struct {
		Code, Outcome, Fact, Next string
	} `json:"findings"`
}

// parseReport reads the report of a run that was neither killed nor turned away
// for its command line.
func parseReport(t *testing.T, e ended) (r report) {
	t.Helper()
	if e.stdout == "" || e.code == -1 {
		return r
	}
	if err := json.Unmarshal([]byte(e.stdout), &r); err != nil {
		t.Errorf("the report is no JSON: %v\n%s", err, e)
	}
	if r.ExitCode != e.code {
		t.Errorf("the report says exit code %d, the process %d\n%s", r.ExitCode, e.code, e)
	}
	return r
}

// codes returns the codes of what did not pass.
func (r report) codes() (out []string) {
	if r.Error != nil {
		out = append(out, r.Error.Code)
	}
	for _, s := range r.Subjects {
		for _, f := range s.Findings {
			if f.Outcome != "passed" {
				out = append(out, f.Code)
			}
		}
	}
	return out
}

// stable returns the codes that docs/errors.md promises.
var stable = sync.OnceValues(func() ([]string, error) {
	text, err := os.ReadFile("../../docs/errors.md")
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	return out, err
})

// named fails the test unless a run that did not pass says why, with codes that
// are documented, and none of them the one for bugs.
func (e ended) named(t *testing.T, what string) {
	t.Helper()
	known, err := stable()
	if err != nil {
		t.Fatal(err)
	}
	codes := e.report.codes()
	if e.code != 0 && len(codes) == 0 {
		t.Errorf("%s: exit code %d without a code\n%s", what, e.code, e)
	}
	for _, c := range codes {
		if c == "internal" || !slices.Contains(known, c) {
			t.Errorf("%s: the code %q is no documented cause\n%s", what, c, e)
		}
	}
}
