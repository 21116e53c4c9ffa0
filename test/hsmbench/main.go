// Command hsmbench measures how signgate signs with a PKCS#11 module, beside
// others that use the same module and the same key: a C program that calls the
// module itself, one session behind a mutex, and crypto11. The module is
// SoftHSM2, whose signatures cost less than those of any device, so that what is
// around them shows.
//
//	test/setup/need.sh cc softhsm2 opensc p11-kit p11-kit-modules
//	cd test/hsmbench && go run .
//
// Each contender is a process of its own. They work in turn, for a moment each,
// and round by round, so that what else happens on the machine hits all. What
// each line measures is in docs/benchmarks.md.
//
// Standard output has the results, standard error the progress. The exit code
// is not 0 when something could not be measured, or when a signature does not
// verify; a target that is missed is a result.
//
// It is a module of its own for the dependencies of crypto11.
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
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == contenderVerb {
		os.Exit(contend(os.Args[2], os.Args[3]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hsmbench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds int
	moment time.Duration // that each contender signs for in a round
	write  string        // the page that gets the results
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("hsmbench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "n", 7, "measured `rounds`, after one to warm up")
	f.DurationVar(&o.moment, "d", time.Second, "how `long` each contender signs in a round")
	f.StringVar(&o.write, "write", "", "put the results into this `page`, between its marks")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", f.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("-n is %d, and it has to be 1 or more", o.rounds)
	case o.moment < time.Millisecond:
		return o, fmt.Errorf("-d is %v, and it has to be 1ms or more", o.moment)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	page, err := openPage(o.write)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "signgate-hsmbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newStage(ctx, dir, stderr)
	if err != nil {
		return err
	}
	defer s.close()
	results, err := s.measure(ctx, o)
	if err != nil {
		return err
	}
	text := s.heading(ctx, o) + results.table()
	fmt.Fprint(stdout, text)
	return page.write(text)
}
