// Command bench measures signgate beside cosign: the same work, against the
// same registry and the same key service, in one run.
//
//	go run ./test/bench
//
// Registry and key service run in this process, on loopback, and answer after a
// delay that each line sets. What is counted is counted by them. What each line
// measures, and how to read it, is in docs/benchmarks.md.
//
// Standard output has the results, standard error the progress. The exit code
// is not 0 when something could not be measured, or when a program did not do
// its work; a target that is missed is a result.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == launchVerb {
		os.Exit(launch(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the program.
type bench struct {
	options
	*tools
	out io.Writer // the results
	log io.Writer // the progress
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	block, err := openBlock(o.write)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "signgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, out: io.MultiWriter(stdout, &block.text), log: stderr}
	b.say("building signgate, finding cosign")
	if b.tools, err = newTools(ctx, dir, o.signgate); err != nil {
		return err
	}
	if len(b.concurrency) > 0 && !b.takes("concurrency") {
		return errors.New("this signgate has no --concurrency")
	}
	if err := b.all(ctx); err != nil {
		return err
	}
	return block.write()
}

// all measures what was asked for.
func (b *bench) all(ctx context.Context) error {
	b.heading()
	for _, l := range b.lines() {
		if !b.only.MatchString(l.String()) {
			continue
		}
		if err := b.line(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	if len(b.concurrency) > 0 {
		if err := b.bounds(ctx); err != nil {
			return fmt.Errorf("concurrency: %w", err)
		}
	}
	if b.beside {
		if err := b.crowds(ctx); err != nil {
			return fmt.Errorf("beside: %w", err)
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, "bench: "+format+"\n", args...) }
