package registry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimiterBound: no more than the bound at a time.
func TestLimiterBound(t *testing.T) {
	l := newLimiter()
	l.bound = 3
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := l.acquire(t.Context()); err != nil {
				t.Error(err)
				return
			}
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			l.mu.Lock()
			l.bound = 3 - 1/l.bound // so that release does not raise it
			l.mu.Unlock()
			l.release()
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at a time, want 3", most.Load())
	}
}

// TestLimiterSlow: a host that asks for a pause gets it from all callers, and
// half as many requests after it; answers raise the bound again.
func TestLimiterSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		began := time.Now()
		l.slow(2 * time.Second)
		l.slow(time.Second) // shorter: the longer one counts
		for range 2 {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("waited %s, want 2s", took)
		}
		if l.bound != maxInFlight/2 {
			t.Errorf("bound %v, want %v: one burst counts once", l.bound, maxInFlight/2)
		}
		for range maxInFlight * maxInFlight {
			l.busy++
			l.release()
		}
		if l.bound != maxInFlight {
			t.Errorf("bound %v after many answers", l.bound)
		}
	})
}

func TestLimiterInterrupted(t *testing.T) {
	l := newLimiter()
	l.slow(time.Hour) // bounded by maxPause
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if wait := time.Until(l.until); wait > maxPause {
		t.Errorf("pauses for %s", wait)
	}
}
