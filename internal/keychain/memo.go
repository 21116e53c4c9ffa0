package keychain

import (
	"context"
	"sync"

	"github.com/signgate/signgate/internal/fault"
)

// memo answers each question once. Concurrent askers of one question wait for
// the same answer. When the asker that looks for it is interrupted, the next
// one looks.
type memo struct {
	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	done  chan struct{} // closed when the rest is set
	value credential
	found bool
	err   error
	void  bool // the search was interrupted
}

func (m *memo) do(ctx context.Context, key string, find func() (credential, bool, error)) (credential, bool, error) {
	for ctx.Err() == nil {
		a, first := m.claim(key)
		if first {
			m.fill(ctx, key, a, find)
		}
		select {
		case <-a.done:
			if !a.void {
				return a.value, a.found, a.err
			}
		case <-ctx.Done():
		}
	}
	return credential{}, false, interrupted(ctx)
}

func (m *memo) fill(ctx context.Context, key string, a *answer, find func() (credential, bool, error)) {
	a.value, a.found, a.err = find()
	if a.void = a.err != nil && ctx.Err() != nil; a.void {
		m.forget(key)
	}
	close(a.done)
}

// claim returns the answer for key and whether the caller has to find it.
func (m *memo) claim(key string) (*answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.answers[key]; ok {
		return a, false
	}
	if m.answers == nil {
		m.answers = map[string]*answer{}
	}
	a := &answer{done: make(chan struct{})}
	m.answers[key] = a
	return a, true
}

func (m *memo) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.answers, key)
}

func interrupted(ctx context.Context) error {
	return fault.Undecidedf("interrupted", "run again", "looking for registry credentials was interrupted: %w", context.Cause(ctx))
}

// once asks a source at most once for each registry.
func once(find source) source {
	var answers memo
	return func(ctx context.Context, t target) (credential, bool, error) {
		return answers.do(ctx, t.host, func() (credential, bool, error) { return find(ctx, t) })
	}
}
