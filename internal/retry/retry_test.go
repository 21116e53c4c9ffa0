package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
)

func TestDo(t *testing.T) {
	transient := fault.Transientf("busy", "", "busy")
	for name, tc := range map[string]struct {
		p     retry.Policy
		err   error
		calls int
	}{
		"zero value": {retry.Policy{}, transient, 1},
		"transient":  {retry.Policy{Attempts: 3}, transient, 3},
		"for good":   {retry.Policy{Attempts: 3}, errors.New("no"), 1},
		"many":       {retry.Policy{Attempts: 90}, transient, 90},
	} {
		calls := 0
		err := tc.p.Do(t.Context(), "x", func(context.Context) error { calls++; return tc.err })
		if calls != tc.calls || !errors.Is(err, tc.err) {
			t.Errorf("%s: %d calls, %v; want %d", name, calls, err, tc.calls)
		}
	}
}

// TestAfter: what the other side asks for is waited for, but not when no
// attempt is left.
func TestAfter(t *testing.T) {
	busy := fault.Transientf("busy", "", "busy")
	busy.After = 50 * time.Millisecond
	began := time.Now()
	_ = retry.Policy{Attempts: 2}.Do(t.Context(), "x", func(context.Context) error { return busy })
	if d := time.Since(began); d < 50*time.Millisecond {
		t.Errorf("waited %s, want 50 ms", d)
	}
	busy.After = time.Hour
	began = time.Now()
	_ = retry.Policy{Attempts: 1}.Do(t.Context(), "x", func(context.Context) error { return busy })
	if d := time.Since(began); d > time.Second {
		t.Errorf("waited %s after the last attempt", d)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := retry.Policy{Attempts: 9, Base: time.Hour}.Do(ctx, "x", func(context.Context) error {
		calls++
		cancel()
		return fault.Transientf("busy", "", "busy")
	})
	if calls != 1 || fault.CodeOf(err) != "busy" {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// TestBudget: repeats of all calls together are bounded, and successes earn
// some back.
func TestBudget(t *testing.T) {
	calls := 0
	p := retry.Policy{Attempts: 5, Budget: retry.NewBudget(3)}
	fail := func(context.Context) error { calls++; return fault.Transientf("x", "", "busy") }
	for range 4 {
		_ = p.Do(t.Context(), "call", fail)
	}
	if calls != 4+3 {
		t.Errorf("%d calls, want 4 and 3 repeats", calls)
	}
	for range 10 {
		_ = p.Do(t.Context(), "call", func(context.Context) error { return nil })
	}
	calls = 0
	_ = p.Do(t.Context(), "call", fail)
	if calls != 2 {
		t.Errorf("%d calls, want one repeat that was earned", calls)
	}
}
