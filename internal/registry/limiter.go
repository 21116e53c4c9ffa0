package registry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// maxInFlight is the most requests that one host gets at a time.
const maxInFlight = 64

// limiter bounds the requests to one host. When the host says that it is too
// much, it gets half as many and none before the time that it asked for; each
// answer after that raises the bound again, by one for as many answers as it
// then allows.
type limiter struct {
	mu    sync.Mutex
	bound float64       // owned by mu
	busy  int           // owned by mu
	until time.Time     // no request before; owned by mu
	wake  chan struct{} // closed when one of these changes; owned by mu
}

func newLimiter() *limiter { return &limiter{bound: maxInFlight, wake: make(chan struct{})} }

// acquire waits for a turn, which release gives back.
func (l *limiter) acquire(ctx context.Context) error {
	for {
		wait, wake, ok := l.try()
		if ok {
			return nil
		}
		var pause <-chan time.Time
		if wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			pause = t.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-pause:
		}
	}
}

func (l *limiter) try() (wait time.Duration, wake chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait = time.Until(l.until)
	if ok = wait <= 0 && l.busy < int(l.bound); ok {
		l.busy++
	}
	return wait, l.wake, ok
}

func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.bound = min(l.bound+1/l.bound, maxInFlight)
	l.changed()
}

// maxPause bounds how long a host may ask to be left alone.
const maxPause = 30 * time.Second

// slow is told when the host answered that it is too much, and for how long it
// wants to be left alone; 0 means that it did not say.
func (l *limiter) slow(pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().After(l.until) { // one burst counts once
		l.bound = max(l.bound/2, 1)
	}
	if pause <= 0 {
		pause = rand.N(500 * time.Millisecond)
	}
	if until := time.Now().Add(min(pause, maxPause)); until.After(l.until) {
		l.until = until
	}
	l.changed()
}

// changed wakes those who wait. The caller holds mu.
func (l *limiter) changed() {
	close(l.wake)
	l.wake = make(chan struct{})
}
