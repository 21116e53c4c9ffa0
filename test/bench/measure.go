package main

import (
	"context"
	"fmt"
)

// line measures one line and prints it.
func (b *bench) line(ctx context.Context, l line) error {
	s, err := newSite(b.dir, l.where)
	defer s.close()
	if err != nil {
		return err
	}
	b.say("%s: setting up", l)
	work, err := l.task(ctx, b, s)
	if err != nil {
		return err
	}
	samples, err := b.runs(ctx, l, s, work)
	if err != nil {
		return err
	}
	b.print(l, summarize(samples[signgate]), summarize(samples[cosign]))
	return nil
}

// runs runs both programs in turn, so that what else happens on the machine
// hits both.
func (b *bench) runs(ctx context.Context, l line, s *site, work maker) (map[tool][]sample, error) {
	first, last := 0, b.n // run 0 warms up
	if l.once {
		first, last = 1, 1
	}
	samples := map[tool][]sample{}
	for i := first; i <= last; i++ {
		for _, t := range turns(i) {
			b.say("%s: %s, run %d of %d", l, t, i, last)
			sample, err := b.trial(ctx, s, work, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t, err)
			}
			if i > 0 {
				samples[t] = append(samples[t], sample)
			}
		}
	}
	return samples, nil
}

// turns returns who goes first.
func turns(i int) []tool {
	if i%2 == 0 {
		return []tool{signgate, cosign}
	}
	return []tool{cosign, signgate}
}

// trial does the work once with one program, and checks that it was done.
func (b *bench) trial(ctx context.Context, s *site, work maker, t tool) (sample, error) {
	j, err := work(ctx, t)
	if err != nil {
		return sample{}, fmt.Errorf("setting up: %w", err)
	}
	out, err := b.measure(ctx, s, j.commands)
	if err != nil {
		return out, err
	}
	if b.verbose {
		b.sayEvents(t, out.events)
	}
	if err := j.check(ctx); err != nil {
		return out, fmt.Errorf("the work was not done: %w", err)
	}
	out.sampled = j.sampled()
	return out.times(max(j.share, 1)), nil
}

// measure runs commands, one after the other, while the services are slow.
func (b *bench) measure(ctx context.Context, s *site, commands []command) (out sample, err error) {
	if _, err := s.tally(); err != nil { // forgets what came before
		return out, err
	}
	s.slow.Store(true)
	defer s.slow.Store(false)
	for _, c := range commands {
		e, err := b.must(ctx, c)
		if err != nil {
			return out, err
		}
		out.add(e.usage)
	}
	out.tally, err = s.tally()
	return out, err
}
