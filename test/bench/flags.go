package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// options are the flags.
type options struct {
	n           int            // measured runs of each line
	quick       bool           // one run, and a sample of the long loop
	only        *regexp.Regexp // the lines that are measured
	beside      bool           // also count what survives of concurrent writers
	concurrency []int          // also try these bounds
	signgate    string         // the program; built when empty
	verbose     bool           // list the requests
	write       string         // the page that gets the results
	shown       string         // the flags that the results depend on
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.n, "n", 3, "measured `runs` of each line and program, after one to warm up")
	f.BoolVar(&o.quick, "quick", false, "one measured run, and ten processes in place of a hundred; the output says so")
	only := f.String("run", "", "measure only the lines that match this `regexp`; '^$' for none")
	f.BoolVar(&o.beside, "beside", false, "also count the signatures that survive when both programs sign one digest at once")
	bounds := f.String("concurrency", "", "also sign 100 images with each of these `values` of signgate sign --concurrency: 1,4,8")
	f.StringVar(&o.signgate, "signgate", "", "measure this `program` in place of building one")
	f.BoolVar(&o.verbose, "v", false, "list the requests of each run on standard error")
	f.StringVar(&o.write, "write", "", "put the results into this `page`, between its marks")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	f.Visit(func(given *flag.Flag) {
		if !slices.Contains([]string{"signgate", "v", "write"}, given.Name) {
			o.shown += " -" + given.Name + shown(given.Value.String())
		}
	})
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag", f.Arg(0))
	}
	if o.quick {
		o.n = 1
	}
	if o.n < 1 {
		return o, fmt.Errorf("-n is %d, and it has to be 1 or more", o.n)
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	o.concurrency, err = numbers(*bounds)
	return o, err
}

// shown returns a value as a shell reads it.
func shown(value string) string {
	switch {
	case value == "true":
		return ""
	case strings.ContainsAny(value, " |^$*()[]'"):
		return " '" + value + "'"
	}
	return " " + value
}

func numbers(list string) ([]int, error) {
	var out []int
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-concurrency: %q is not a number of 1 or more", text)
		}
		out = append(out, n)
	}
	return out, nil
}
