// Package retry repeats calls whose failures may pass.
package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// Policy says how often and how long a transient failure is repeated. The zero
// value makes one attempt without a time limit of its own.
type Policy struct {
	Attempts   int           // the most attempts, 0 and 1 mean one
	PerAttempt time.Duration // the time limit of one attempt, 0 for none
	Base       time.Duration // the longest wait before the second attempt; it doubles each time up to 20 s
	Budget     *Budget       // shared by all calls of a run; nil for no bound

	// Before is called before each attempt and may wait, for a turn or for the
	// end of a pause; that time does not count in PerAttempt. Nil for nothing.
	Before func(context.Context) error
}

// Do calls f until it succeeds, fails for good, the attempts are used up or
// ctx is done. Between attempts it waits a random time up to Base, 2·Base,
// 4·Base (full jitter). An attempt that ran into PerAttempt while ctx still
// has time counts as transient.
func (r Policy) Do(ctx context.Context, what string, f func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := r.once(ctx, what, f)
		if err == nil {
			r.Budget.earn()
			return nil
		}
		if !r.Again(ctx, attempt, err) {
			return err
		}
	}
}

// Again reports whether a call that has failed with err in its attempt, the
// first of which is 1, is to be made again, after it has waited.
func (r Policy) Again(ctx context.Context, attempt int, err error) bool {
	if attempt >= r.Attempts || !fault.IsTransient(err) || !r.Budget.take() {
		return false
	}
	return Wait(ctx, max(r.backoff(attempt), asked(err))) == nil
}

func (r Policy) once(ctx context.Context, what string, f func(context.Context) error) error {
	if r.Before != nil {
		if err := r.Before(ctx); err != nil {
			return err
		}
	}
	one, cancel := ctx, context.CancelFunc(func() {})
	if r.PerAttempt > 0 {
		one, cancel = context.WithTimeout(ctx, r.PerAttempt)
	}
	defer cancel()
	err := f(one)
	if err != nil && ctx.Err() == nil && errors.Is(one.Err(), context.DeadlineExceeded) {
		return fault.Transientf("timeout", "try again; raise the timeout input if it stays slow",
			"%s did not finish within %s: %w", what, r.PerAttempt, err)
	}
	return err
}

// asked returns how long the other side asked to be left alone, up to half a
// minute.
func asked(err error) time.Duration {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return min(f.After, 30*time.Second)
	}
	return 0
}

func (r Policy) backoff(attempt int) time.Duration {
	longest := min(r.Base<<min(attempt-1, 10), 20*time.Second)
	if longest <= 0 {
		return 0
	}
	return rand.N(longest)
}

// Wait returns nil after d, or the error of ctx when that ends first.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
