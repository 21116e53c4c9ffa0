package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/image"
)

// Pattern names repositories: REGISTRY/PATH, where * stands for any text within
// one part of the path and ** for any text at all. It is anchored at both ends.
type Pattern struct {
	text    string
	literal string // what stands before the first wildcard
	match   *regexp.Regexp
}

var patternForm = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/*-]+$`)

// parsePattern returns the pattern, or what is wrong with it and the fix.
func parsePattern(text string) (p Pattern, what, fix string) {
	switch {
	case strings.ContainsAny(text, "@"), strings.LastIndex(text, ":") > strings.Index(text, "/") && strings.Contains(text, "/"):
		return p, fmt.Sprintf("the pattern %q has a tag or a digest, and a rule is for repositories", text), "leave it out"
	case !strings.Contains(text, "/"):
		return p, fmt.Sprintf("the pattern %q has no registry, so it matches nothing", text), "write REGISTRY/PATH, for example ghcr.io/acme/**"
	case !patternForm.MatchString(text), strings.Contains(text, "//"), strings.HasSuffix(text, "/"), strings.Contains(text, "***"):
		return p, fmt.Sprintf("the pattern %q matches no repository name", text), "write lower case without a scheme, for example ghcr.io/acme/**"
	}
	host, _, _ := strings.Cut(text, "/")
	if strings.Contains(host, "*") {
		return p, fmt.Sprintf("the pattern %q has a wildcard in its registry", text), "name the registry"
	}
	text = image.Canonical(text)
	p = Pattern{text: text, literal: text}
	if i := strings.IndexByte(text, '*'); i >= 0 {
		p.literal = text[:i]
	}
	quoted := regexp.QuoteMeta(text)
	quoted = strings.ReplaceAll(quoted, `\*\*`, `.*`)
	p.match = regexp.MustCompile(`^` + strings.ReplaceAll(quoted, `\*`, `[^/]*`) + `$`) // linear time (RE2)
	return p, "", ""
}

// String returns the pattern as it is compared.
func (p Pattern) String() string { return p.text }

// Matches reports whether the repository is one of the pattern's.
func (p Pattern) Matches(repository string) bool {
	return p.match.MatchString(image.Canonical(repository))
}

// weight is how specific the pattern is: the length of what stands before the
// first wildcard, and one more without any.
func (p Pattern) weight() int {
	if p.literal == p.text {
		return len(p.text) + 1
	}
	return len(p.literal)
}

// ties reports whether some repository matches both and neither is more
// specific.
func (p Pattern) ties(o Pattern) bool { return p.weight() == o.weight() && meet(p.text, o.text) }

// meet reports whether two patterns have a text in common.
func meet(a, b string) bool {
	seen := map[[2]int]bool{}
	var walk func(i, j int) bool
	walk = func(i, j int) bool {
		at := [2]int{i, j}
		if seen[at] {
			return false
		}
		seen[at] = true
		switch {
		case i == len(a) && j == len(b):
			return true
		case i < len(a) && a[i] == '*':
			return walk(next(a, i), j) || j < len(b) && (crosses(a, i) || b[j] != '/') && walk(i, step(b, j))
		case j < len(b) && b[j] == '*':
			return walk(i, next(b, j)) || i < len(a) && (crosses(b, j) || a[i] != '/') && walk(i+1, j)
		}
		return i < len(a) && j < len(b) && a[i] == b[j] && walk(i+1, j+1)
	}
	return walk(0, 0)
}

// crosses reports whether the wildcard at i is **.
func crosses(p string, i int) bool { return strings.HasPrefix(p[i:], "**") }

// next is the place after the wildcard at i.
func next(p string, i int) int {
	if crosses(p, i) {
		return i + 2
	}
	return i + 1
}

// step is the place after one element of p, a wildcard as a whole.
func step(p string, j int) int {
	if p[j] == '*' {
		return next(p, j)
	}
	return j + 1
}
