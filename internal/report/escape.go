package report

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes foreign text safe to print: on one line, and without what moves a
// cursor, colours a terminal, turns the direction of writing or cannot be seen
// at all. Such a character is shown as its number, \u202e, so that nobody takes
// one name for another.
//
// Control characters are those of Unicode (Cc, Cf), which hold the escapes of
// terminals (ECMA-48) and the directions (UAX #9, "Trojan Source"); invisible
// ones are its Default_Ignorable_Code_Points, and all blanks but the space.
func Clean(s string) string {
	if !strings.ContainsFunc(s, unclean) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case !unclean(c):
			b.WriteRune(c)
		case strings.ContainsRune("\t\n\v\f\r\u0085\u2028\u2029", c):
			b.WriteByte(' ')
		case c > 0xffff:
			fmt.Fprintf(&b, `\u{%x}`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func unclean(c rune) bool {
	return c != ' ' && unicode.IsSpace(c) || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zs, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && c != ' ' || c == utf8.RuneError
}

// head returns the characters of s that fit into limit bytes.
func head(s string, limit int) string {
	cut := min(limit, len(s))
	for cut > 0 && cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimRight(s[:cut], " ")
}

// How much is written of one foreign text in Markdown, in bytes: of a sentence
// and of a name. The JSON has all of it.
const (
	mostProse = 800
	mostName  = 240
)

// bounded returns a clean text of not much more than limit bytes, and says how
// long it was.
func bounded(s string, limit int) string {
	clean := Clean(head(s, limit))
	if len(s) > limit || len(clean) > limit {
		return fmt.Sprintf("%s… (%d bytes)", head(clean, limit), len(s))
	}
	return clean
}

// code writes a foreign name as a code span of Markdown. In one GitHub makes
// neither markup nor HTML of the text, nor mentions, references and links
// (https://github.github.com/gfm/#code-spans). A back-tick, which would end the
// span, and a bar, which would end a cell of a table, are shown as their numbers.
func code(s string) string { return span(bounded(s, mostName)) }

// span writes clean text as a code span.
func span(s string) string {
	s = strings.TrimSpace(strings.NewReplacer("`", `\u0060`, "|", `\u007c`).Replace(s))
	if s == "" {
		return "–"
	}
	return "`" + s + "`"
}

// codes writes a list, each as code, and how many more there are than most.
func codes(list []string, most int, separator string) string {
	var out []string
	for _, s := range list[:min(len(list), most)] {
		out = append(out, code(s))
	}
	if more := len(list) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, separator)
}

// plain is a word in which no Markdown and no reference can be: letters, or a
// number that begins no list. What looks like a commit (7 to 40 hex digits) is none, see prose.
var (
	plain  = regexp.MustCompile(`^([("]?[A-Za-z]+(['’-][a-z]+)*[)"',.;:?!]*|[("]?[0-9]{1,6}[",;:?!]*|–)$`)
	commit = regexp.MustCompile(`^[("]?[0-9a-fA-F]{7,40}\b`)
	ending = regexp.MustCompile(`[,;:.)]+$`)
)

// prose writes a sentence of ours that foreign text may be part of. Its plain
// words stay words; everything else, be it a digest or an attack, becomes code.
func prose(s string) string {
	var out, held []string
	flush := func(end string) {
		if len(held) > 0 {
			out = append(out, span(strings.Join(held, " "))+end)
			held = nil
		}
	}
	for _, word := range strings.Fields(bounded(s, mostProse)) {
		if plain.MatchString(word) && !commit.MatchString(word) {
			flush("")
			out = append(out, word)
			continue
		}
		end := ending.FindString(word)
		if strings.Contains(word, "(") {
			end = strings.ReplaceAll(end, ")", "")
		}
		if end == word {
			end = ""
		}
		held = append(held, strings.TrimSuffix(word, end))
		if end != "" {
			flush(end)
		}
	}
	flush("")
	return strings.Join(out, " ")
}

// label writes foreign text for a quoted label of Mermaid, at most limit
// characters of it. Everything but letters and digits of ASCII and spaces is an
// entity code, so that the text has no quotes, no directives, no Markdown and no
// HTML (https://mermaid.js.org/syntax/flowchart.html, "Entity codes to escape
// characters").
func label(s string, limit int) string {
	var b strings.Builder
	for _, c := range middle(Clean(head(s, 4<<10)), limit) {
		if c == ' ' || c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, "#%d;", c)
		}
	}
	return b.String()
}

// middle shortens text to limit characters, of which it keeps both ends: names
// differ there.
func middle(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	end := limit / 3
	return string(runes[:limit-end-1]) + "…" + string(runes[len(runes)-end:])
}
