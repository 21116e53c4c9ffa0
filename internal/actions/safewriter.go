package actions

import (
	"io"
	"strings"
	"sync"
)

// SafeWriter passes text on in a form that the runner cannot mistake for a
// workflow command. The runner (ActionCommand.cs) takes a line for a command
//
//   - when "::" stands at its start, after white space, or
//   - when "##[" stands anywhere in it,
//
// where a line ends at \n, \r or \r\n, on standard output and standard error
// alike. SafeWriter puts one space into the marker: ": :error::" and
// "## [error]". Line state is kept over writes, so a marker that is split
// between two writes is caught too.
//
// Why not ::stop-commands::<token>: the two streams share one switch in the
// runner, a process that dies in between leaves it off, and each pair adds two
// lines to the log. Why a plain space and not an invisible character: the
// runner compares with the culture rules of ICU, which skip zero-width
// characters. For the same reason any byte that is not printable ASCII counts
// as possibly invisible here; the price is a needless space in odd lines.
type SafeWriter struct {
	mu    sync.Mutex // owns everything below
	w     io.Writer
	guard guard
	dirty bool // the last byte written did not end a line
}

// NewSafeWriter returns a SafeWriter over w.
func NewSafeWriter(w io.Writer) *SafeWriter { return &SafeWriter{w: w} }

// Write neutralises p and writes it. The count is that of p.
func (s *SafeWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := s.w.Write(s.guard.apply(p)); err != nil {
		return 0, err
	}
	s.dirty = !endsLine(p[len(p)-1])
	return len(p), nil
}

// Foreign returns text with every workflow command in it neutralised, for
// callers that compose a line themselves. The result is safe at the start of a
// line and anywhere else.
func Foreign(text string) string {
	var g guard
	return string(g.apply([]byte(text)))
}

// raw writes a workflow command at the start of a line.
func (s *SafeWriter) raw(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty {
		p = append([]byte("\n"), p...)
	}
	// A log that cannot be written must not change the verdict of the run.
	_, _ = s.w.Write(p)
	s.guard, s.dirty = guard{}, false
}

// commandWriter lets go-githubactions, which panics when a write fails, write
// its commands past the guard.
type commandWriter struct{ s *SafeWriter }

func (c commandWriter) Write(p []byte) (int, error) {
	c.s.raw(p)
	return len(p), nil
}

// guard is the state of one stream. Its zero value is the start of a line.
type guard struct {
	colon colonState
	hash  int // how many of the two '#' of "##[" were just seen
}

type colonState int

const (
	lineStart colonState = iota // only white space and invisible bytes so far
	oneColon                    // and one colon
	midLine                     // "::" is no command any more
)

func (g *guard) apply(p []byte) []byte {
	var b strings.Builder
	b.Grow(len(p))
	for _, c := range p {
		if g.completes(c) {
			b.WriteByte(' ')
		}
		b.WriteByte(c)
		g.advance(c)
	}
	return []byte(b.String())
}

// completes reports whether c would complete one of the two markers.
func (g *guard) completes(c byte) bool {
	return g.colon == oneColon && c == ':' || g.hash == 2 && c == '['
}

func (g *guard) advance(c byte) {
	switch {
	case endsLine(c):
		*g = guard{}
	case invisible(c):
		// changes nothing: the runner may not see it
	default:
		g.colon = g.nextColon(c)
		g.hash = g.nextHash(c)
	}
}

func (g *guard) nextColon(c byte) colonState {
	switch {
	case g.colon == lineStart && c == ' ':
		return lineStart
	case g.colon == lineStart && c == ':':
		return oneColon
	}
	return midLine
}

func (g *guard) nextHash(c byte) int {
	if c != '#' {
		return 0
	}
	return min(g.hash+1, 2)
}

func endsLine(c byte) bool { return c == '\n' || c == '\r' }

// invisible is generous: it holds every part of a multi-byte character.
func invisible(c byte) bool { return c < ' ' || c >= 0x7f }
