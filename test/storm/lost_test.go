package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// crowd is eight processes that sign one digest with eight keys.
type crowd struct {
	mode    registrytest.Mode
	store   string // the repository of the signatures
	formats []string
	delay   time.Duration // of the registry
	trial   int
}

func (c crowd) String() string {
	return fmt.Sprintf("%s %s %v %s trial %d", c.mode, c.store, c.formats, c.delay, c.trial)
}

// spread is how far apart the processes start. The first trial has them start
// together.
func (c crowd) spread() time.Duration {
	return []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond}[c.trial%3]
}

// crowds returns each kind of registry at each delay, as often as there are
// trials.
func crowds(t *testing.T, delays ...time.Duration) (out []crowd) {
	t.Helper()
	two, one := []string{bundle, simplesigning}, []string{simplesigning}
	for trial := range trials(t) {
		for _, c := range []crowd{
			{mode: registrytest.Referrers, store: "app", formats: two}, {mode: registrytest.Referrers, store: "app", formats: one},
			{mode: registrytest.Fallback, store: "app", formats: two}, {mode: registrytest.Fallback, store: "app", formats: one},
			{mode: registrytest.Referrers, store: "new", formats: two}, {mode: registrytest.Fallback, store: "new", formats: two},
		} {
			for _, d := range delays {
				c.delay, c.trial = d, trial
				out = append(out, c)
			}
		}
	}
	return out
}

// TestLostUpdates: all signatures survive, in each kind of registry.
func TestLostUpdates(t *testing.T) {
	t.Parallel()
	each(t, 6, crowds(t, 100*time.Millisecond, 20*time.Millisecond, 0), func(t *testing.T, c crowd) {
		x := c.target(t)
		c.sign(t, x, nil)
		x.Delay(0)
		c.check(t, x)
	})
}

// TestLostUpdatesAndDeaths: all signatures survive although some of the writers
// are killed under way; those are there after a second run.
func TestLostUpdatesAndDeaths(t *testing.T) {
	t.Parallel()
	each(t, 6, crowds(t, 20*time.Millisecond), func(t *testing.T, c crowd) {
		x := c.target(t)
		victims := map[int]time.Duration{1: rand.N(500 * time.Millisecond), 4: rand.N(500 * time.Millisecond), 6: rand.N(2 * time.Second)}
		c.sign(t, x, victims)
		x.Delay(0)
		for i := range victims {
			x.by(t, i).sign(t, c.flag()).exits(t, "a second run", 0)
		}
		c.check(t, x)
	})
}

func (c crowd) target(t *testing.T) *target {
	t.Helper()
	x := newTarget(t, c.mode)
	x.store = c.store
	x.Delay(c.delay)
	return x
}

// flag is the value of --formats.
func (c crowd) flag() string { return strings.Join(c.formats, ",") }

// by returns the target for the nth key.
func (x *target) by(t *testing.T, n int) *target {
	t.Helper()
	out := *x
	out.key = keyring(t, keyCount)[n]
	return &out
}

// sign runs the processes. Victims are killed after a time.
func (c crowd) sign(t *testing.T, x *target, victims map[int]time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	var wg sync.WaitGroup
	for i := range keyCount {
		time.Sleep(rand.N(c.spread()/keyCount + 1))
		run := start(t, command(ctx, x.by(t, i).signArgs(c.flag())...))
		after, victim := victims[i]
		if victim {
			timer := time.AfterFunc(after, func() { _ = run.cmd.Process.Kill() })
			defer timer.Stop()
		}
		wg.Go(func() {
			if e := wait(t, run); !victim || e.code != -1 {
				e.exits(t, x.key.private, 0)
			}
		})
	}
	wg.Wait()
}

// check looks for each signature: in the registry, by signgate for each key, and
// by signgate for all of them.
func (c crowd) check(t *testing.T, x *target) {
	t.Helper()
	ring := keyring(t, keyCount)
	h := x.held(t)
	all := append([]string{"verify", "--threshold", fmt.Sprint(keyCount), x.image()}, x.place()...)
	for _, k := range ring {
		all = append(all, "--trusted-keys", k.public)
	}
	for _, f := range c.formats {
		list := h.bundles
		if f == simplesigning {
			list = h.layers
		}
		survived := 0
		for _, k := range ring {
			survived += count(list, k, x.digest)
		}
		if survived != keyCount || len(list) != keyCount || len(h.twice) > 0 {
			t.Errorf("%s: %d of %d signatures survived among %d, listed twice: %v", f, survived, keyCount, len(list), h.twice)
			continue // the program could only say the same
		}
		for i := range ring {
			x.by(t, i).verify(t, f).exits(t, f+" by "+ring[i].public, 0)
		}
		signgate(t, append(slices.Clone(all), "--formats", f)...).exits(t, f+" by all", 0)
	}
}
