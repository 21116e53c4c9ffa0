package main

import (
	"errors"
	"fmt"
	"slices"
)

// scope lets helpers that were made for tests work outside of one: what they
// start is stopped with the scope, and what is fatal for a test is an error of
// attempt.
type scope struct{ cleanups []func() }

// fatal is the end of a helper.
type fatal string

// Fatal ends the helper.
func (*scope) Fatal(args ...any) { panic(fatal(fmt.Sprint(args...))) }

// Cleanup calls f when the scope is closed.
func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) close() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// attempt calls f, which calls such helpers.
func attempt(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fatal:
			err = errors.New(string(p))
		default:
			panic(p)
		}
	}()
	f()
	return nil
}
