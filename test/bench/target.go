package main

import (
	"fmt"
	"time"
)

// target is what a line of signgate should reach.
type target struct {
	text string
	got  func(ours, theirs summary) (text string, ok bool)
}

func (t target) line(ours, theirs summary) string {
	got, ok := t.got(ours, theirs)
	return fmt.Sprintf("%s: %s (%s)", t.text, map[bool]string{true: "ok", false: "over"}[ok], got)
}

func atMostRequests(n int) target {
	return atMost(n, "registry requests", func(s summary) span { return s.requests })
}
func atMostCalls(n int) target {
	return atMost(n, "KMS calls", func(s summary) span { return s.calls })
}
func atMostWrites(n int) target {
	return atMost(n, "registry writes", func(s summary) span { return s.writes })
}

func atMost(n int, what string, of func(summary) span) target {
	return target{fmt.Sprintf("≤ %d %s", n, what), func(ours, _ summary) (string, bool) {
		return of(ours).String(), of(ours).most <= n
	}}
}

func atMostWall(d time.Duration) target {
	return target{"≤ " + seconds(d), func(ours, _ summary) (string, bool) { return seconds(ours.wall), ours.wall <= d }}
}

func timesFaster(n float64) target {
	return target{fmt.Sprintf("≥ %g× faster", n), func(ours, theirs summary) (string, bool) {
		ratio := float64(theirs.wall) / float64(ours.wall)
		return fmt.Sprintf("%.1f×", ratio), ratio >= n
	}}
}
