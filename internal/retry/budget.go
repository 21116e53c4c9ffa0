package retry

import "sync"

// Budget bounds how many calls of a whole run are repeated, so that a service
// that is down is not asked many times over by each of a thousand calls. Ten
// calls that succeed earn one repeat back. It is safe for concurrent use; a
// nil Budget has no bound.
type Budget struct {
	mu      sync.Mutex
	tenths  int // what is left, in tenths of a repeat; owned by mu
	highest int
}

// NewBudget returns a budget of n repeats.
func NewBudget(n int) *Budget { return &Budget{tenths: 10 * n, highest: 10 * n} }

// take takes one repeat, and reports false when none is left.
func (b *Budget) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenths < 10 {
		return false
	}
	b.tenths -= 10
	return true
}

// earn gives back a tenth for a call that succeeded.
func (b *Budget) earn() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tenths = min(b.tenths+1, b.highest)
}
