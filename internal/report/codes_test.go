package report_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that the tests compare with")

const errorsPage = "../../docs/errors.md"

var (
	codeRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| [0-3](?:, [0-3])* \\| (.+) \\| (.+) \\|$")
	anchors = regexp.MustCompile(`(?m)^(<a id="[a-z0-9_]+"></a>)+\n\n`)
)

// TestCodes compares docs/errors.md with what the renderers know of the codes:
// each has its row in codes.txt, and an anchor at its table. With -update it
// writes both.
func TestCodes(t *testing.T) {
	page, err := os.ReadFile(errorsPage)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, m := range codeRow.FindAllStringSubmatch(string(page), -1) {
		table.WriteString(strings.Join(m[1:], "\t") + "\n")
	}
	compare(t, "codes.txt", table.String())
	compare(t, errorsPage, anchored(string(page)))
}

// anchored puts a line of anchors before each table of codes: GitHub makes
// anchors of headings only, and keeps these.
func anchored(page string) string {
	sections := strings.SplitAfter(anchors.ReplaceAllString(page, ""), "\n\n")
	for i, s := range sections {
		if !strings.HasPrefix(s, "| code |") {
			continue
		}
		line := ""
		for _, m := range codeRow.FindAllStringSubmatch(s, -1) {
			line += `<a id="` + m[1] + `"></a>`
		}
		sections[i] = line + "\n\n" + s
	}
	return strings.Join(sections, "")
}

// compare compares a file with what it has to be.
func compare(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what it has to be; look at it and run: go test ./internal/report -update (%v)", name, err)
	}
}
