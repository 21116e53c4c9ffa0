package policy

import "time"

// What the tests of this package look at from outside.

// Shape is what a mapping may hold.
type Shape struct {
	Fields   []string
	Required map[string]string
}

// Shapes returns the mappings of the format.
func Shapes() map[string]Shape {
	out := map[string]Shape{}
	for name, s := range shapes() {
		out[name] = Shape{s.fields, s.required}
	}
	return out
}

// ParsePattern returns a pattern, or what is wrong with it.
func ParsePattern(text string) (Pattern, string) {
	p, what, _ := parsePattern(text)
	return p, what
}

// Ties reports whether two patterns tie.
func Ties(a, b Pattern) bool { return a.ties(b) }

// Weight is how specific a pattern is.
func Weight(p Pattern) int { return p.weight() }

// Compile compiles a condition.
func Compile(text string) (*Condition, error) { return new(compiler).compile(text) }

// Hurry lets an evaluation take no longer than d.
func Hurry(c *Condition, d time.Duration) { c.most = d }
