package keychain

import (
	"context"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/memo"
)

// answers remembers what a source said of each registry.
type answers struct {
	memo memo.Memo[string, *credential]
}

// do asks find once for each key. An interruption is an error of this package.
func (a *answers) do(ctx context.Context, key string, find func() (credential, bool, error)) (credential, bool, error) {
	c, err := a.memo.Do(ctx, key, func(context.Context) (*credential, error) {
		c, ok, err := find()
		if !ok {
			return nil, err
		}
		return &c, err
	})
	switch {
	case ctx.Err() != nil && err != nil:
		return credential{}, false, interrupted(ctx)
	case c == nil || err != nil:
		return credential{}, false, err
	}
	return *c, true, nil
}

func interrupted(ctx context.Context) error {
	return fault.Undecidedf("interrupted", "run again", "looking for registry credentials was interrupted: %w", context.Cause(ctx))
}

// once asks a source at most once for each registry.
func once(find source) source {
	var a answers
	return func(ctx context.Context, t target) (credential, bool, error) {
		return a.do(ctx, t.host, func() (credential, bool, error) { return find(ctx, t) })
	}
}
