package main

import (
	"context"
	"fmt"
	"time"
)

// line is one thing that is measured.
type line struct {
	name    string
	where   where
	task    task
	floor   floor
	targets []target
	once    bool     // one run, none to warm up
	notes   []string // what a reader has to know
}

func (l line) String() string {
	w := l.where
	if w.registry == 0 && w.kms == 0 {
		return l.name + ", no delay"
	}
	text := fmt.Sprintf("%s, %s registry", l.name, milliseconds(w.registry))
	if w.kms > 0 {
		text += fmt.Sprintf(", %s KMS", milliseconds(w.kms))
	}
	return text
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// A task sets up what all runs of a line share, and returns what makes the
// work of one run.
type task func(ctx context.Context, b *bench, s *site) (maker, error)

// A maker makes the work of one run of a program. It is not measured.
type maker func(ctx context.Context, t tool) (job, error)

// job is the work of one run.
type job struct {
	commands []command                   // one after the other
	share    int                         // the commands are one of so many equal parts of the work; 0 means all of it
	check    func(context.Context) error // that the work was done
}

// sampled says what is left out of a job, or "".
func (j job) sampled() string {
	if j.share < 2 {
		return ""
	}
	return fmt.Sprintf("%d processes, times %d", len(j.commands), j.share)
}

// heading says what is measured, and with what.
func (b *bench) heading() {
	fmt.Fprintf(b.out, "$ go run ./test/bench%s\n", b.shown)
	fmt.Fprintf(b.out, "signgate %s, cosign %s, %s\n", b.version[signgate], b.version[cosign], machine())
	fmt.Fprintf(b.out, "medians; runs: %d, after one to warm up\n", b.n)
	if b.quick {
		fmt.Fprintln(b.out, "quick: the loop of 100 processes is a sample of 10, times 10")
	}
}
