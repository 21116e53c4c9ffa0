package main

import (
	"fmt"
	"runtime"
	"time"
)

const row = "  %-16s%10s%11s%10s%10s%10s%s\n"

// print prints a line that was measured.
func (b *bench) print(l line, ours, theirs summary) {
	fmt.Fprintf(b.out, "\n%s\n", l)
	fmt.Fprintf(b.out, row, "", "requests", "KMS calls", "wall", "CPU", "memory", "")
	b.printRow(string(signgate), ours)
	b.printRow(string(cosign), theirs)
	fmt.Fprintf(b.out, row, "cosign/signgate", ratio(theirs.requests.median, ours.requests.median), ratio(theirs.calls.median, ours.calls.median),
		ratio(theirs.wall, ours.wall), ratio(theirs.cpu, ours.cpu), ratio(theirs.memory, ours.memory), "")
	if floor := l.floor.time(l.where); floor > 0 {
		fmt.Fprintf(b.out, "  floor   %s (%s)\n", seconds(floor), l.floor)
		fmt.Fprintf(b.out, "          wall/floor: signgate %s, cosign %s\n", ratio(ours.wall, floor), ratio(theirs.wall, floor-l.floor.settle))
	}
	for _, t := range l.targets {
		fmt.Fprintf(b.out, "  target  %s\n", t.line(ours, theirs))
	}
	notes := l.notes
	if theirs.sampled != "" {
		notes = append(notes, "cosign is a sample: "+theirs.sampled)
	}
	for _, note := range notes {
		fmt.Fprintf(b.out, "  note    %s\n", note)
	}
}

func (b *bench) printRow(name string, s summary) {
	operations := s.operations
	if operations != "" {
		operations = "  " + operations
	}
	fmt.Fprintf(b.out, row, name, s.requests, s.calls, seconds(s.wall), seconds(s.cpu), megabytes(s.memory), operations)
}

func ratio[T int | int64 | time.Duration](a, b T) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", float64(a)/float64(b))
}

func seconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", (n+1<<19)>>20) }

// machine says where the programs ran.
func machine() string {
	return fmt.Sprintf("%s %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
