package report

import (
	_ "embed"
	"regexp"
	"strings"
)

// codeTable has the rows of docs/errors.md: a code, its meaning and what to do,
// separated by tabs. TestCodes keeps it, and writes it with -update.
//
//go:embed codes.txt
var codeTable string

// meaning is what docs/errors.md says of a code, in Markdown.
type meaning struct{ what, next string }

// meaningOf returns the meaning of a code, and says so of a code that the page
// does not have.
func meaningOf(code string) meaning {
	_, after, found := strings.Cut("\n"+codeTable, "\n"+code+"\t")
	if !found {
		return meaning{"a check has not passed", "see the message"}
	}
	row, _, _ := strings.Cut(after, "\n")
	what, next, _ := strings.Cut(row, "\t")
	return meaning{what, next}
}

// absolute returns the texts with the links to other pages leading to base.
func (m meaning) absolute(base string) (what, next string) {
	return pageLink.ReplaceAllString(m.what, "]("+base+"$1)"), pageLink.ReplaceAllString(m.next, "]("+base+"$1)")
}

// plainText returns Markdown of ours without links and back-ticks.
func plainText(markdown string) string {
	return strings.ReplaceAll(anyLink.ReplaceAllString(markdown, "$1"), "`", "")
}

var (
	pageLink = regexp.MustCompile(`\]\(([\w./-]+\.md(#[\w-]+)?)\)`)
	anyLink  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	release  = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)$`)
	codeForm = regexp.MustCompile(`^[a-z0-9_]+$`)
)

// docs returns the address of the documentation of a version: that of the
// release, or else the newest.
func docs(version string) string {
	ref := "main"
	if m := release.FindStringSubmatch(version); m != nil {
		ref = "v" + m[1]
	}
	return "https://github.com/signgate/signgate/blob/" + ref + "/docs/"
}

// help returns the address of what is said about a code.
func (r *Report) help(code string) string {
	if !codeForm.MatchString(code) {
		code = ""
	}
	return docs(r.Version) + "errors.md#" + code
}
