package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/image"
)

// The limits of a pattern bound the time of comparing two of them.
const (
	maxPattern   = 255 // bytes, as for the name of a repository
	maxWildcards = 8
)

// Pattern names repositories: REGISTRY/PATH, where * stands for any text within
// one part of the path, and ** for any number of whole parts. It is anchored at
// both ends.
type Pattern struct {
	text    string
	literal string // what stands before the first wildcard
	match   *regexp.Regexp
}

// patternForm is the form of a pattern: a part has ** alone or no ** at all, so
// that acme** is not written where acme/** is meant.
var patternForm = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/(\*\*|([a-z0-9._-]|\*[a-z0-9._-])*\*?))+$`)

// parsePattern returns the pattern, or what is wrong with it and the fix.
func parsePattern(text string) (p Pattern, what, fix string) {
	host, path, _ := strings.Cut(text, "/")
	shown := "the pattern " + quote(text)
	switch {
	case len(text) > maxPattern || strings.Count(text, "*") > maxWildcards:
		return p, fmt.Sprintf("%s is longer than %d bytes or has more than %d wildcards", shown, maxPattern, maxWildcards), "shorten it"
	case strings.Contains(text, "://"):
		return p, shown + " has a scheme", "write it without, for example ghcr.io/acme/**"
	case strings.ContainsAny(path, ":@"):
		return p, shown + " has a tag or a digest, and a rule is for repositories", "leave it out"
	case path == "":
		return p, shown + " has no registry or no path, so it matches nothing", "write REGISTRY/PATH, for example ghcr.io/acme/**"
	case strings.Contains(host, "*"):
		return p, shown + " has a wildcard in its registry", "name the registry, for example ghcr.io/acme/**"
	case strings.Contains(strings.ReplaceAll("/"+path+"/", "/**/", "//"), "**"):
		return p, shown + " has ** beside other text", "write ** as a whole part, for example ghcr.io/acme/**"
	case !patternForm.MatchString(text) || !possible(text):
		return p, shown + " matches no repository", "write REGISTRY/PATH in lower case, for example ghcr.io/acme/** or docker.io/library/alpine"
	}
	return newPattern(image.Canonical(text)), "", ""
}

func newPattern(text string) Pattern {
	p := Pattern{text: text, literal: text}
	if i := strings.IndexByte(text, '*'); i >= 0 {
		p.literal = text[:i]
	}
	quoted := strings.ReplaceAll(regexp.QuoteMeta(text), `\*\*`, `.*`)
	p.match = regexp.MustCompile(`^` + strings.ReplaceAll(quoted, `\*`, `[^/]*`) + `$`) // linear time (RE2)
	return p
}

// possible reports whether a repository can have a name that the pattern
// matches. Names are what image.Parse makes of them, so "alpine" and
// "docker.io/alpine" are none.
func possible(text string) bool {
	for _, parts := range []string{"a", "a/a"} {
		sample := strings.ReplaceAll(strings.ReplaceAll(text, "**", parts), "*", "a")
		i, err := image.Parse(sample)
		if err == nil && i.Repository == image.Canonical(sample) && len(i.Tags) == 0 {
			return true
		}
	}
	return false
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
func (p Pattern) ties(o Pattern) bool {
	return p.weight() == o.weight() && p.literal == o.literal && meet(p.text, o.text)
}
