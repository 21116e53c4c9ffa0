package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/fault"
)

// maxProblems is how many mistakes are told; a file that is no policy at all has
// one in each line.
const maxProblems = 100

// Problem is a mistake in a policy file.
type Problem struct {
	Line, Column int
	What, Fix    string
}

// String returns "LINE:COLUMN: what; fix".
func (p Problem) String() string {
	return fmt.Sprintf("%d:%d: %s; %s", p.Line, p.Column, p.What, p.Fix)
}

// problems are the mistakes found so far.
type problems []Problem

// fail notes a mistake at n, or at the beginning of the file without one.
func (p *problems) fail(n *yaml.Node, fix, format string, args ...any) {
	line, column := 1, 1
	if n != nil {
		line, column = max(n.Line, 1), max(n.Column, 1)
	}
	p.failAt(line, column, fix, format, args...)
}

func (p *problems) failAt(line, column int, fix, format string, args ...any) {
	if len(*p) < maxProblems {
		*p = append(*p, Problem{line, column, fmt.Sprintf(format, args...), fix})
	}
}

// err returns the fault that carries all mistakes, sorted by their place.
func (p problems) err(name string) error {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	first := p[0]
	next := first.Fix
	if more := len(p) - 1; more > 0 {
		next += fmt.Sprintf("; signgate policy check shows this and %d more", more)
	}
	e := fault.Configf("policy_invalid", next, "the policy %s:%d:%d: %s", name, first.Line, first.Column, first.What)
	e.Err = &loadError{p}
	return e
}

// loadError carries all problems.
type loadError struct{ problems []Problem }

func (e *loadError) Error() string { return e.problems[0].String() }

// Problems returns the mistakes that Load found, sorted by their place in the
// file.
func Problems(err error) []Problem {
	e, ok := errors.AsType[*loadError](err)
	if !ok {
		return nil
	}
	return e.problems
}
