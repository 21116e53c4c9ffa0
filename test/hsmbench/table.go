package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// line compares two parts.
type line struct {
	what, other  string // what is compared, and with what
	ours, theirs string // the parts
	by           quantity
	target       target
}

// quantity is what is compared.
type quantity struct {
	of   func(sample) float64
	text func(float64) string
}

var (
	perCPUSecond = quantity{sample.perCPUSecond, rate}
	perSecond    = quantity{sample.perSecond, rate}
	firstTime    = quantity{func(s sample) float64 { return float64(s.Wall) }, duration}
	p50          = quantity{func(s sample) float64 { return float64(s.P50) }, duration}
)

func rate(v float64) string { return fmt.Sprintf("%.0f", v) }

func duration(v float64) string {
	if d := time.Duration(v); d >= time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f µs", v/1e3)
}

// target bounds ours/theirs. The zero target is none.
type target struct {
	least, most float64
	cores       int // that are needed for it to be fair
}

func (t target) String() string {
	switch {
	case t.least > 0:
		return fmt.Sprintf("≥ %.2f", t.least)
	case t.most > 0:
		return fmt.Sprintf("≤ %.2f", t.most)
	}
	return ""
}

func (t target) judge(ratio float64) string {
	switch {
	case t.least == 0 && t.most == 0:
		return ""
	case runtime.NumCPU() < t.cores:
		return fmt.Sprintf("needs %d CPUs", t.cores)
	case t.least > 0 && ratio < t.least, t.most > 0 && ratio > t.most:
		return "missed"
	}
	return "met"
}

// lines are all lines, in the order of docs/benchmarks.md.
var lines = []line{
	{"signatures per CPU second", "the module called from C", partPool, partC, perCPUSecond, target{least: 0.90}},
	{"the same, each verified", "the module called from C", partGuarded, partC, perCPUSecond, target{}},
	{"signatures per CPU second", "the binding alone", partPool, partBare, perCPUSecond, target{}},
	{"signatures per second", "one session and a mutex", partPool, partMutex, perSecond, target{least: 1.15, cores: 2}},
	{"signatures per CPU second", "crypto11", partPool, partCrypto11, perCPUSecond, target{}},
	{"signatures per second", "crypto11", partPool, partCrypto11, perSecond, target{}},
	{"cold start to first signature", "the raw calls from C", partCold, partColdC, firstTime, target{most: 1.25}},
	{"one signature over a socket", "the same without it", partSocket, partLocal, p50, target{most: 2.5}},
}

// row returns a line of the table.
func row(cells ...any) string {
	return strings.TrimRight(fmt.Sprintf("%-30s %-25s %9s %9s %6s  %-7s%s", cells...), " ") + "\n"
}

// table prints the lines: medians of all samples.
func (r results) table() string {
	text := row("", "beside", "signgate", "other", "ratio", "target", "")
	for _, l := range lines {
		ours, theirs, ratio := r.compare(l)
		text += row(l.what, l.other, l.by.text(ours), l.by.text(theirs), fmt.Sprintf("%.2f", ratio), l.target, l.target.judge(ratio))
	}
	return text
}

// compare returns the median of each part and that of the ratios of neighbours.
// Two that played one after the other shared what else the machine did then, so
// their ratio varies less than they do.
func (r results) compare(l line) (ours, theirs, ratio float64) {
	var a, b, ratios []float64
	for i, s := range r[l.ours] {
		a, b = append(a, l.by.of(s)), append(b, l.by.of(r[l.theirs][i]))
		ratios = append(ratios, a[i]/b[i])
	}
	return median(a), median(b), median(ratios)
}

// heading says what is measured, and with what.
func (s *stage) heading(ctx context.Context, o options) string {
	softhsm, err := exec.CommandContext(ctx, "softhsm2-util", "--version").Output()
	if err != nil {
		softhsm = []byte("of unknown version")
	}
	return fmt.Sprintf("$ cd test/hsmbench && go run . -n %d -d %v\nP-256, SoftHSM %s, crypto11 %s, %s %s/%s, %d CPUs\nmedians; %d callers for %d sessions; in C one thread for each CPU\n\n",
		o.rounds, o.moment, bytes.TrimSpace(softhsm), version("github.com/ThalesGroup/crypto11"), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), callers, sessions)
}

// version returns the version of a module that this program is built with.
func version(path string) string {
	info, _ := debug.ReadBuildInfo() // of a test it has no dependencies
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "of unknown version"
}
