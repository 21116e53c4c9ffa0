// Package memo answers each question once.
package memo

import (
	"context"
	"errors"
	"sync"

	"github.com/signgate/signgate/internal/fault"
)

// Memo holds the answers to questions of one kind. The zero value is ready,
// and it is safe for concurrent use.
type Memo[K comparable, V any] struct {
	mu      sync.Mutex
	answers map[K]*answer[V]
}

type answer[V any] struct {
	done  chan struct{} // closed when the rest is set
	value V
	err   error
}

// Do returns the answer for key, which the first asker finds; others wait for
// it, as long as their ctx lets them. An answer is kept, and so is an error
// that lasts. A transient error is told to those who waited for it, and the
// next asker tries again; an asker that is interrupted leaves the search to
// one of those who wait.
func (m *Memo[K, V]) Do(ctx context.Context, key K, find func(context.Context) (V, error)) (V, error) {
	for ctx.Err() == nil {
		a, first := m.claim(key)
		if first {
			m.fill(ctx, key, a, find)
			return a.value, a.err
		}
		select {
		case <-a.done:
			if !errors.Is(a.err, errInterrupted) {
				return a.value, a.err
			}
		case <-ctx.Done():
		}
	}
	var none V
	return none, context.Cause(ctx)
}

var errInterrupted = errors.New("the search was interrupted")

// interrupted is what an asker whose own ctx has ended gets, and a sign to
// those who wait.
type interrupted struct{ error }

func (interrupted) Is(target error) bool { return target == errInterrupted }

func (e interrupted) Unwrap() error { return e.error }

func (m *Memo[K, V]) fill(ctx context.Context, key K, a *answer[V], find func(context.Context) (V, error)) {
	defer close(a.done)
	a.value, a.err = find(ctx)
	if a.err != nil && ctx.Err() != nil {
		a.err = interrupted{a.err}
	}
	if fault.IsTransient(a.err) || errors.Is(a.err, errInterrupted) {
		m.Forget(key)
	}
}

// claim returns the answer for key and whether the caller has to find it.
func (m *Memo[K, V]) claim(key K) (*answer[V], bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.answers[key]; ok {
		return a, false
	}
	if m.answers == nil {
		m.answers = map[K]*answer[V]{}
	}
	a := &answer[V]{done: make(chan struct{})}
	m.answers[key] = a
	return a, true
}

// Forget drops the answer for key: the next asker looks for it again.
func (m *Memo[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.answers, key)
}

// Get returns the answer for key when it is known already.
func (m *Memo[K, V]) Get(key K) (value V, known bool) {
	m.mu.Lock()
	a := m.answers[key]
	m.mu.Unlock()
	if a == nil {
		return value, false
	}
	select {
	case <-a.done:
		return a.value, a.err == nil
	default:
		return value, false
	}
}
