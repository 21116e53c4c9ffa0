package audit

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/signgate/signgate/internal/fault"
)

// lock opens the file and locks it for one writer. The system's call cannot be
// told to stop waiting, so it has a goroutine of its own: a lock that comes too
// late is given back.
func lock(ctx context.Context, path string) (*lockedfile.File, error) {
	type opened struct {
		f   *lockedfile.File
		err error
	}
	got := make(chan opened)
	go func() {
		f, err := lockedfile.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		select {
		case got <- opened{f, err}:
		case <-ctx.Done():
			if err == nil {
				_ = f.Close()
			}
		}
	}()
	select {
	case o := <-got:
		if o.err != nil {
			return nil, unwritable(path, o.err)
		}
		return o.f, nil
	case <-ctx.Done():
		return nil, fault.Undecidedf("audit_locked", "find out which process holds the file, and run again", "another process has the audit log %s locked: %w", path, ctx.Err())
	}
}
