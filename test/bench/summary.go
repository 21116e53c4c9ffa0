package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// sample is what one run has cost.
type sample struct {
	tally
	usage
	sampled string // says that only a part of the work was run
}

// times scales a sample to the whole of its work.
func (s sample) times(n int) sample {
	s.requests, s.writes, s.Wall, s.CPU = s.requests*n, s.writes*n, s.Wall*time.Duration(n), s.CPU*time.Duration(n)
	s.calls = maps.Clone(s.calls)
	for name := range s.calls {
		s.calls[name] *= n
	}
	return s
}

// add adds a process that ran after the others.
func (s *sample) add(u usage) {
	s.Wall, s.CPU, s.Memory = s.Wall+u.Wall, s.CPU+u.CPU, max(s.Memory, u.Memory)
}

// total is the number of calls of all operations.
func (t tally) total() int {
	n := 0
	for _, calls := range t.calls {
		n += calls
	}
	return n
}

// summary is what the runs of a program have cost.
type summary struct {
	requests, writes, calls span
	operations              string // the calls by operation, of the last run
	wall, cpu               time.Duration
	memory                  int64
	sampled                 string
}

func summarize(samples []sample) summary {
	last := samples[len(samples)-1]
	return summary{
		requests:   spanOf(samples, func(s sample) int { return s.requests }),
		writes:     spanOf(samples, func(s sample) int { return s.writes }),
		calls:      spanOf(samples, func(s sample) int { return s.total() }),
		operations: operations(last.calls),
		wall:       medianOf(samples, func(s sample) time.Duration { return s.Wall }),
		cpu:        medianOf(samples, func(s sample) time.Duration { return s.CPU }),
		memory:     medianOf(samples, func(s sample) int64 { return s.Memory }),
		sampled:    last.sampled,
	}
}

func operations(calls map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		out = append(out, fmt.Sprintf("%d %s", calls[name], name))
	}
	return strings.Join(out, ", ")
}

// span is a count that may differ from run to run.
type span struct{ least, median, most int }

func (s span) String() string {
	if s.least == s.most {
		return fmt.Sprint(s.most)
	}
	return fmt.Sprintf("%d–%d", s.least, s.most)
}

func spanOf(samples []sample, of func(sample) int) span {
	values := sorted(samples, of)
	return span{values[0], middle(values), values[len(values)-1]}
}

func medianOf[T cmp.Ordered](samples []sample, of func(sample) T) T {
	return middle(sorted(samples, of))
}

// middle returns the median of sorted values; of an even number the lower of
// the two in the middle.
func middle[T cmp.Ordered](values []T) T { return values[(len(values)-1)/2] }

func sorted[T cmp.Ordered](samples []sample, of func(sample) T) []T {
	var values []T
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values
}
