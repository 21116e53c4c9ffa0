package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxText is the most that a text of one line may have, in bytes.
const maxText = 1000

// raw returns a text that is not empty, of any number of lines; "" stands for
// an absent one and for a mistake.
func (r *reader) raw(n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		fix := "write a text"
		if n.Kind == yaml.ScalarNode {
			fix = "fill it in, or leave the field out"
			if n.Tag != "!!null" {
				fix = "quote it if it is meant as text"
			}
		}
		r.fail(n, fix, "this is %s and has to be a text", kind(n))
		return ""
	case strings.TrimSpace(n.Value) == "":
		r.fail(n, "fill it in, or leave the field out", "the text is empty")
		return ""
	}
	return n.Value
}

// text returns a text of one line whose characters can all be seen.
func (r *reader) text(n *yaml.Node) string {
	text := r.raw(n)
	hidden := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) })
	switch {
	case len(text) > maxText:
		r.fail(n, "shorten it", "the text is longer than %d bytes", maxText)
	case hidden >= 0:
		r.fail(n, "remove it", "the text %s has a character that cannot be seen", quote(text))
	case strings.TrimSpace(text) != text:
		r.fail(n, "remove it", "the text %s begins or ends with a space", quote(text))
	default:
		return text
	}
	return ""
}

// name returns a text that can stand for something in messages: no two that look
// alike differ.
func (r *reader) name(n *yaml.Node) string {
	text := r.text(n)
	if text == "" || regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(text) {
		return text
	}
	r.fail(n, "use up to 64 letters, digits, dots, dashes and underscores, such as release-2026", "%s is no name", quote(text))
	return ""
}

// choice returns one of the values, and the first for an absent one.
func (r *reader) choice(n *yaml.Node, values ...string) string {
	switch {
	case n == nil:
		return values[0]
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str" && slices.Contains(values, n.Value):
		return n.Value
	}
	r.fail(n, "write "+strings.Join(values, " or "), "this is %s, which means nothing here", shown(n))
	return values[0]
}

// count returns a whole number of at least 1; 0 stands for an absent one and
// for a mistake.
func (r *reader) count(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" && regexp.MustCompile(`^[1-9][0-9]{0,5}$`).MatchString(n.Value) {
		v, _ := strconv.Atoi(n.Value)
		return v
	}
	r.fail(n, "write a whole number of 1 or more, without quotes", "this is %s and has to be a number", shown(n))
	return 0
}

// span returns a duration such as 90d or 12h; 0 stands for an absent one and for
// a mistake.
func (r *reader) span(n *yaml.Node) time.Duration {
	if n == nil {
		return 0
	}
	if m := regexp.MustCompile(`^([1-9][0-9]{0,4})([dhm])$`).FindStringSubmatch(n.Value); m != nil && n.Tag == "!!str" {
		number, _ := strconv.Atoi(m[1])
		return time.Duration(number) * map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute}[m[2]]
	}
	r.fail(n, "write a whole number of days, hours or minutes: 90d, 12h or 30m", "this is %s and has to be a duration", shown(n))
	return 0
}

// instant returns a time: a date, which means its beginning in UTC, or RFC 3339.
// The zero time stands for an absent one and for a mistake, so it cannot be
// written.
func (r *reader) instant(n *yaml.Node) time.Time {
	if n == nil {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, n.Value); err == nil && n.Kind == yaml.ScalarNode && t.Year() >= 1970 {
			return t.UTC()
		}
	}
	r.fail(n, "write 2026-06-30 or 2026-06-30T12:00:00Z", "this is %s and has to be a time", shown(n))
	return time.Time{}
}

// shown is what a node is, a text as it stands there.
func shown(n *yaml.Node) string {
	if k := kind(n); k != "a text" {
		return k
	}
	return quote(n.Value)
}

// quote returns the text in quotes, cut when it is long, on one line and without
// characters that cannot be seen.
func quote(text string) string { return strconv.Quote(cut(text, 80)) }

// cut returns the text, or its beginning when it is longer than most bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
