package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// each is the number of processes of each program that sign one digest at once.
const each = 4

// store is a place where signatures of many writers come together.
type store struct {
	name   string
	mode   registrytest.Mode
	format string // of signgate
}

func stores() []store {
	return []store{
		{"referrers API", registrytest.Referrers, "bundle"},
		{"fallback tag", registrytest.Fallback, "bundle"},
		{"signature tag", registrytest.Referrers, "simplesigning"},
	}
}

// fate is what became of the signatures of one program.
type fate struct{ survive, told, silent int }

const crowdRow = "  %-16s%8s  %-10s%10s%14s%20s\n"

// crowds lets both programs sign one digest at once, and counts.
func (b *bench) crowds(ctx context.Context) error {
	fmt.Fprintf(b.out, "\n%d processes of signgate and %d of cosign sign one digest at once, each with a key of its own; runs: %d\n", each, each, b.n)
	fmt.Fprintf(b.out, crowdRow, "", "delay", "", "survive", "gone, told", "gone, exit code 0")
	for _, st := range stores() {
		for _, delay := range []time.Duration{0, 20, 100} {
			delay *= time.Millisecond
			fates, err := b.crowdsOf(ctx, st, delay)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", st.name, milliseconds(delay), err)
			}
			for _, t := range []tool{signgate, cosign} {
				f := fates[t]
				fmt.Fprintf(b.out, crowdRow, st.name, milliseconds(delay), t, fmt.Sprintf("%d of %d", f.survive, each*b.n), fmt.Sprint(f.told), fmt.Sprint(f.silent))
			}
		}
	}
	return nil
}

// crowdsOf is all runs of a store with a delay.
func (b *bench) crowdsOf(ctx context.Context, st store, delay time.Duration) (map[tool]fate, error) {
	fates := map[tool]fate{}
	for i := range b.n {
		b.say("at once, %s, %s: run %d of %d", st.name, milliseconds(delay), i+1, b.n)
		if err := b.crowd(ctx, st, delay, fates); err != nil {
			return nil, err
		}
	}
	return fates, nil
}

// crowd is one run. It adds to the fates.
func (b *bench) crowd(ctx context.Context, st store, delay time.Duration, fates map[tool]fate) error {
	s, err := newSite(b.dir, where{mode: st.mode, registry: delay})
	defer s.close()
	if err != nil {
		return err
	}
	img, err := s.push()
	if err != nil {
		return err
	}
	keys, err := s.newKeys(2 * each)
	if err != nil {
		return err
	}
	codes, err := b.allAtOnce(ctx, s, st, keys, img)
	if err != nil {
		return err
	}
	for i, k := range keys {
		there, err := b.counts(ctx, s, st, k, img)
		if err != nil {
			return err
		}
		fates[who(i)] = fates[who(i)].with(there, codes[i])
	}
	return nil
}

// with adds one signature.
func (f fate) with(there bool, code int) fate {
	switch {
	case there:
		f.survive++
	case code != 0:
		f.told++
	default:
		f.silent++
	}
	return f
}

// who signs with the key of this number.
func who(i int) tool { return []tool{signgate, cosign}[i%2] }

// allAtOnce returns the exit codes.
func (b *bench) allAtOnce(ctx context.Context, s *site, st store, keys []key, img image) ([]int, error) {
	codes := make([]int, len(keys))
	s.slow.Store(true)
	defer s.slow.Store(false)
	var g errgroup.Group
	for i, k := range keys {
		c := b.sign(who(i), s, k, img, "--formats", st.format)
		if who(i) == cosign && st.format != "bundle" {
			c = b.signTheirTag(s, k, img)
		}
		g.Go(func() error {
			e, err := b.run(ctx, c)
			codes[i] = e.Code
			if err == nil && e.Code != 0 {
				b.say("%s", e)
			}
			return err
		})
	}
	return codes, g.Wait()
}

// counts reports whether the signature of a key is there and verifies.
func (b *bench) counts(ctx context.Context, s *site, st store, k key, img image) (bool, error) {
	e, err := b.run(ctx, b.verify(signgate, s, k, []image{img}, "--formats", st.format))
	if err == nil && !slices.Contains([]int{0, 1}, e.Code) {
		err = fmt.Errorf("nothing is decided:\n%s", e)
	}
	return e.Code == 0, err
}
