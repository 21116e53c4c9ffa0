package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"time"
)

// The parts of a round.
const (
	partCrypto11 = "crypto11"
	partMutex    = "mutex"
	partBare     = "bare"
	partGuarded  = "guarded"
	partPool     = "pool"
	partC        = "C"
	partLocal    = "local"
	partSocket   = "socket"
	partCold     = "cold"
	partColdC    = "cold, C"
)

// coldStarts is how many cold starts of each program are in a round: they are
// short, and vary.
const coldStarts = 10

// part is one thing that happens in a round.
type part struct {
	name string
	play func() (sample, error)
}

// results are the samples of each part.
type results map[string][]sample

// measure starts the contenders and lets them play in turn. The order changes
// with each round.
func (s *stage) measure(ctx context.Context, o options) (results, error) {
	players, stop, err := s.players(ctx, o)
	defer stop()
	if err != nil {
		return nil, err
	}
	parts, r := append(players, s.colds(ctx)...), results{}
	for round := range o.rounds + 1 { // round 0 warms up
		s.say("round %d of %d", round, o.rounds)
		for _, p := range parts {
			one, err := p.play()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			if round > 0 {
				r[p.name] = append(r[p.name], one)
			}
		}
		slices.Reverse(parts)
	}
	return r, nil
}

// players are the parts for which a process waits to be asked. One is asked
// before the next starts: SoftHSM gives wrong answers to processes that log in
// to one token at the same time. One caller signs for half of the moment, which
// is enough for a median.
func (s *stage) players(ctx context.Context, o options) (parts []part, stop func(), err error) {
	var all []*player
	stop = func() {
		for _, p := range all {
			_ = p.stop() // its answers have said what matters
		}
	}
	module := s.token.Module
	for _, c := range []struct {
		name    string
		cmd     *exec.Cmd
		callers int
		moment  time.Duration
	}{
		{partCrypto11, s.contender(ctx, "crypto11", module), callers, o.moment},
		{partMutex, s.contender(ctx, "mutex", module), callers, o.moment},
		{partGuarded, s.contender(ctx, "guarded", module), callers, o.moment},
		{partBare, s.contender(ctx, "bare", module), callers, o.moment},
		{partPool, s.contender(ctx, "pool", module), callers, o.moment},
		{partC, s.fromC(ctx, "serve"), runtime.NumCPU(), o.moment},
		{partLocal, s.contender(ctx, "pool", module), 1, o.moment / 2},
		{partSocket, s.contender(ctx, "remote", s.server.socket), 1, o.moment / 2},
	} {
		p, err := start(c.cmd, s.public)
		if err != nil {
			return nil, stop, fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, p)
		if _, err := p.play(1, time.Millisecond); err != nil {
			return nil, stop, fmt.Errorf("%s: %w", c.name, err)
		}
		parts = append(parts, part{c.name, func() (sample, error) { return p.play(c.callers, c.moment) }})
	}
	return parts, stop, nil
}

// colds are the parts for which a process is started each time.
func (s *stage) colds(ctx context.Context) (parts []part) {
	for range coldStarts {
		parts = append(parts,
			part{partCold, func() (sample, error) { return once(s.contender(ctx, cold, s.token.Module), s.public) }},
			part{partColdC, func() (sample, error) { return once(s.fromC(ctx, "cold"), s.public) }})
	}
	return parts
}
