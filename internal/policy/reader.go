package policy

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
)

// reader walks a YAML document. It notes every mistake and goes on, so that all
// are told at once; what it returns after a mistake is only good for that.
type reader struct {
	problems
	shapes map[string]shape
}

// object returns the values of a mapping by their names; see shapes. What is
// not there is nil. ok is false for what is no mapping, of which everything has
// been said.
func (r *reader) object(n *yaml.Node, name string) (values map[string]*yaml.Node, ok bool) {
	s := r.shapes[name]
	values, misspelt := map[string]*yaml.Node{}, map[string]bool{}
	ok = r.pairs(n, s.what, func(field, value *yaml.Node) {
		if slices.Contains(s.fields, field.Value) {
			values[field.Value] = value
			return
		}
		near := r.unknown(field, "field", s.fields)
		misspelt[near] = true
	})
	for _, field := range s.fields {
		if need := s.required[field]; ok && need != "" && values[field] == nil && !misspelt[field] {
			r.fail(n, "add "+need, "%s has no %s", s.what, field)
		}
	}
	return values, ok
}

// unknown refuses a name that is none of known and returns the one that was
// perhaps meant, or "".
func (r *reader) unknown(n *yaml.Node, what string, known []string) string {
	fix := "use one of " + strings.Join(known[:min(len(known), 12)], ", ")
	near, edits := fault.Nearest(strings.ToLower(n.Value), lower(known))
	if edits >= len(near) || edits > max(2, len(near)/3) {
		near = ""
	} else {
		near = known[slices.Index(lower(known), near)]
		fix = "did you mean " + near + "? Else " + fix
	}
	r.fail(n, fix, "there is no %s %s", what, quote(n.Value))
	return near
}

func lower(names []string) []string {
	out := slices.Clone(names)
	for i := range out {
		out[i] = strings.ToLower(out[i])
	}
	return out
}

// pairs calls f for each pair of a mapping, whose names are texts and differ. ok
// is false when some of what it has could not be read.
func (r *reader) pairs(n *yaml.Node, what string, f func(name, value *yaml.Node)) (ok bool) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "write name: value, or {name: value}", "%s is %s and has to be a mapping", what, kind(n))
		return false
	}
	ok = true
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		switch {
		case name.Kind == yaml.ScalarNode && name.Tag == "!!merge":
			r.fail(name, "write the fields out", "merge keys are not read")
			ok = false
		case name.Kind != yaml.ScalarNode || name.Tag != "!!str":
			r.fail(name, "quote it", "this name is %s and has to be a text", kind(name))
		case seen[name.Value]:
			r.fail(name, "keep one of them", "%s is here twice", quote(name.Value))
		default:
			seen[name.Value] = true
			f(name, n.Content[i+1])
		}
	}
	return ok
}

// list returns the entries of a list, which is not empty.
func (r *reader) list(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		r.fail(n, "write ["+quote(n.Value)+"]", "this is a text and has to be a list")
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "write [a, b], or a line with - for each", "this is %s and has to be a list", kind(n))
		return nil
	case len(n.Content) == 0:
		r.fail(n, "add an entry, or leave the field out", "the list is empty")
	}
	return n.Content
}

// choices returns the entries of a list, each of which is one of the values and
// is there once; all values for an absent list.
func (r *reader) choices(n *yaml.Node, what string, values []string) []string {
	if n == nil {
		return values
	}
	chosen := map[string]bool{}
	for _, c := range r.list(n) {
		switch text := r.text(c); {
		case text == "":
		case !slices.Contains(values, text):
			r.unknown(c, what, values)
		case chosen[text]:
			r.fail(c, "keep one of them", "%s is here twice", quote(text))
		default:
			chosen[text] = true
		}
	}
	return slices.Sorted(maps.Keys(chosen))
}

// kind says what a node is.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!str":
		return "a text"
	case n.Tag == "!!null":
		return "empty"
	}
	return "the value " + quote(n.Value)
}
