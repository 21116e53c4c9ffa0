package policy

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
)

// Problem is a mistake in a policy file.
type Problem struct {
	Line, Column int
	What, Fix    string
}

// String returns "LINE:COLUMN: what; fix".
func (p Problem) String() string {
	return fmt.Sprintf("%d:%d: %s; %s", p.Line, p.Column, p.What, p.Fix)
}

// reader walks a YAML document. It notes every mistake and goes on, so that all
// are told at once; what it returns after a mistake is only good for that.
type reader struct{ problems []Problem }

func (r *reader) fail(n *yaml.Node, fix, format string, args ...any) {
	p := Problem{Line: 1, Column: 1, What: fmt.Sprintf(format, args...), Fix: fix}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
}

// document parses one document without anchors.
func (r *reader) document(text []byte) *yaml.Node {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&doc); err != nil {
		r.fail(nil, "correct the YAML", "it is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if err := dec.Decode(&more); err != io.EOF {
		r.fail(&more, "keep one document", "there is more after the first document")
		return nil
	}
	if !r.plain(&doc) {
		return nil
	}
	return doc.Content[0]
}

// plain refuses anchors and aliases, which can make a small file large.
func (r *reader) plain(n *yaml.Node) bool {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		r.fail(n, "write the value out", "anchors and aliases are not read")
		return false
	}
	for _, c := range n.Content {
		if !r.plain(c) {
			return false
		}
	}
	return true
}

// mapping returns the values of a mapping by their names, which are some of
// known.
func (r *reader) mapping(n *yaml.Node, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	r.pairs(n, func(name, value *yaml.Node) {
		if !slices.Contains(known, name.Value) {
			near, _ := fault.Nearest(name.Value, known)
			r.fail(name, "did you mean "+near+"? The fields here are "+strings.Join(known, ", "), "there is no field %q", name.Value)
		}
		out[name.Value] = value
	})
	return out
}

// pairs calls f for each pair of a mapping, whose names are texts and differ.
func (r *reader) pairs(n *yaml.Node, f func(name, value *yaml.Node)) {
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "write name: value, or {name: value}", "this is %s and has to be a mapping", kind(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		switch {
		case name.Kind != yaml.ScalarNode || name.Tag != "!!str":
			r.fail(name, "quote it", "the name of a field is %s and has to be a text", kind(name))
		case seen[name.Value]:
			r.fail(name, "keep one of them", "the field %q is here twice", name.Value)
		default:
			seen[name.Value] = true
			f(name, n.Content[i+1])
		}
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!str":
		return "a text"
	case "!!null":
		return "empty"
	}
	return "the value " + n.Value
}

// list returns the entries of a list that is not empty.
func (r *reader) list(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "write [a, b], or a line with - for each", "this is %s and has to be a list", kind(n))
		return nil
	case len(n.Content) == 0:
		r.fail(n, "add an entry, or leave the field out", "the list is empty")
	}
	return n.Content
}

// text returns a text that is not empty; "" stands for an absent one.
func (r *reader) text(n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		r.fail(n, "quote it if it is meant as text", "this is %s and has to be a text", kind(n))
		return ""
	case strings.TrimSpace(n.Value) == "":
		r.fail(n, "fill it in, or leave the field out", "the text is empty")
	}
	return n.Value
}

func (r *reader) texts(n *yaml.Node) []string {
	var out []string
	for _, c := range r.list(n) {
		out = append(out, r.text(c))
	}
	return out
}

// choice returns one of the values, and the first for an absent one.
func (r *reader) choice(n *yaml.Node, values ...string) string {
	if n == nil {
		return values[0]
	}
	if text := r.text(n); slices.Contains(values, text) {
		return text
	}
	r.fail(n, "use "+strings.Join(values, " or "), "%q is none of the values", n.Value)
	return values[0]
}

// whole returns a whole number of at least 1, and 0 for an absent one.
func (r *reader) whole(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	v, err := strconv.Atoi(n.Value)
	if err != nil || n.Tag != "!!int" || v < 1 {
		r.fail(n, "write a whole number of 1 or more", "%q does not count anything", n.Value)
	}
	return v
}

// span returns a duration such as 90d or 12h, and 0 for an absent one.
func (r *reader) span(n *yaml.Node) time.Duration {
	text := r.text(n)
	if text == "" {
		return 0
	}
	days, isDays := strings.CutSuffix(text, "d")
	number, err := strconv.ParseUint(days, 10, 16)
	d := time.Duration(number) * 24 * time.Hour
	if !isDays {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d <= 0 {
		r.fail(n, "write it as 90d, 12h or 30m", "%q is no duration", text)
	}
	return d
}

// instant returns a time: a date, which means its beginning in UTC, or RFC 3339.
func (r *reader) instant(n *yaml.Node) time.Time {
	if n == nil {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, n.Value); err == nil && n.Kind == yaml.ScalarNode {
			return t.UTC()
		}
	}
	r.fail(n, "write 2026-06-30 or 2026-06-30T12:00:00Z", "%q is no time", n.Value)
	return time.Time{}
}
