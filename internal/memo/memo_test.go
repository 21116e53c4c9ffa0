package memo_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/memo"
)

func TestOnce(t *testing.T) {
	var m memo.Memo[string, int]
	var asked atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			v, err := m.Do(context.Background(), "a", func(context.Context) (int, error) { asked.Add(1); return 7, nil })
			if v != 7 || err != nil {
				t.Error(v, err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	if v, known := m.Get("a"); v != 7 || !known {
		t.Error(v, known)
	}
	if _, known := m.Get("b"); known {
		t.Error("b is known")
	}
}

// TestErrors: one that lasts is kept, one that may pass is not.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		err  error
		asks int
	}{
		{fault.Undecidedf("x", "", "denied"), 1},
		{fault.Transientf("x", "", "busy"), 2},
	} {
		var m memo.Memo[string, int]
		asks := 0
		for range 2 {
			_, err := m.Do(t.Context(), "a", func(context.Context) (int, error) { asks++; return 0, tc.err })
			if !errors.Is(err, tc.err) {
				t.Error(err)
			}
		}
		if asks != tc.asks {
			t.Errorf("%v: asked %d times, want %d", tc.err, asks, tc.asks)
		}
	}
}

// TestInterrupted: who waits takes the search over from an asker that is
// interrupted, and one whose own time is up stops waiting.
func TestInterrupted(t *testing.T) {
	var m memo.Memo[string, int]
	first, cancel := context.WithCancel(t.Context())
	searching, late := make(chan struct{}), make(chan error)
	go func() {
		_, err := m.Do(first, "a", func(ctx context.Context) (int, error) { close(searching); <-ctx.Done(); return 0, ctx.Err() })
		late <- err
	}()
	<-searching
	over, stop := context.WithCancel(t.Context())
	stop()
	if _, err := m.Do(over, "a", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	got := make(chan int)
	go func() {
		v, _ := m.Do(t.Context(), "a", func(context.Context) (int, error) { return 3, nil })
		got <- v
	}()
	cancel()
	if err := <-late; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if v := <-got; v != 3 {
		t.Error(v)
	}
}
