package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"syscall"
	"time"
)

// sample is what a contender did in one moment, and what it cost. It is also
// the line in which a contender says so, times in nanoseconds.
type sample struct {
	Count     int           `json:"count"`
	Wall      time.Duration `json:"wall"`
	CPU       time.Duration `json:"cpu"` // user and system, of the whole process
	P50       time.Duration `json:"p50"` // of one signature; the C program does not tell it
	Signature hexBytes      `json:"signature"`
}

func (s sample) perSecond() float64    { return float64(s.Count) / s.Wall.Seconds() }
func (s sample) perCPUSecond() float64 { return float64(s.Count) / s.CPU.Seconds() }

// signing makes one signature over the message. It is safe for concurrent use.
type signing func(context.Context) ([]byte, error)

// caller signs again and again, one signature after the other.
type caller struct {
	latencies []time.Duration
	signature []byte
	err       error
}

func (c *caller) sign(ctx context.Context, sign signing, start time.Time, d time.Duration) {
	for begin := start; begin.Sub(start) < d; {
		if c.signature, c.err = sign(ctx); c.err != nil {
			return
		}
		end := time.Now()
		c.latencies = append(c.latencies, end.Sub(begin))
		begin = end
	}
}

// during lets several callers sign at the same time. Their context can end, as
// that of signgate can.
func during(d time.Duration, n int, sign signing) (sample, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := make([]caller, n)
	used, start := cpuTime(), time.Now()
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i].sign(ctx, sign, start, d) })
	}
	group.Wait()
	s := sample{Wall: time.Since(start), CPU: cpuTime() - used}
	var latencies []time.Duration
	for _, c := range all {
		if c.err != nil {
			return s, c.err
		}
		latencies = append(latencies, c.latencies...)
		s.Signature = c.signature
	}
	s.Count, s.P50 = len(latencies), median(latencies)
	return s, nil
}

// cpuTime is the user and system time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right, so it does not fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median returns the value in the middle; of an even number the lower of the
// two.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
