package storm

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// death is where a run is killed: at its nth request, before the registry has
// seen to it or after.
type death struct {
	mode      registrytest.Mode
	n, of     int
	processed bool
}

func (d death) String() string {
	when := "before"
	if d.processed {
		when = "after"
	}
	return fmt.Sprintf("%s %02d of %02d %s", d.mode, d.n, d.of, when)
}

// TestKill: a run that is killed at any point can be run again and ends in the
// same state, without duplicates.
func TestKill(t *testing.T) {
	t.Parallel()
	var deaths []death
	for _, mode := range registrytest.Modes() {
		signs, _ := requests(t, mode)
		for n := range signs {
			deaths = append(deaths, death{mode, n + 1, len(signs), false}, death{mode, n + 1, len(signs), true})
		}
	}
	var r reached
	each(t, wide, deaths, func(t *testing.T, d death) {
		x := newTarget(t, d.mode)
		i, e := d.stop(t, x, os.Kill)
		if r.count(i); i.hit() != "" && e.code != -1 {
			t.Errorf("killed at %s, and the exit code is %d", i.hit(), e.code)
		}
		x.again(t, "killed at "+i.hit())
	})
	r.check(t)
}

// TestTerminated: a run that is asked to end says so, and what it has written
// is not written twice.
func TestTerminated(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		x := newTarget(t, mode)
		i, e := death{mode: mode, n: 8, processed: true}.stop(t, x, syscall.SIGTERM)
		e.exits(t, string(mode), 3).named(t, string(mode))
		if !slices.Contains(e.report.codes(), "interrupted") {
			t.Errorf("%s: codes %q, want interrupted", mode, e.report.codes())
		}
		x.again(t, "interrupted at "+i.hit())
	}
}

// again signs once more, and checks that all is there once.
func (x *target) again(t *testing.T, what string) {
	t.Helper()
	x.Intercept(nil)
	x.sign(t, both).exits(t, "again, "+what, 0)
	x.held(t).check(t, what, x, bundle, simplesigning)
	for _, f := range []string{bundle, simplesigning} {
		x.verify(t, f).exits(t, f+", "+what, 0)
	}
}

// stop signs, and sends the run a signal while its nth request waits.
func (d death) stop(t *testing.T, x *target, signal os.Signal) (*injector, ended) {
	t.Helper()
	reached, gone := make(chan struct{}), make(chan struct{})
	i := &injector{x: x, n: d.n, fault: fault{"stop", func(_ http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if d.processed {
			serve(httptest.NewRecorder(), r)
		}
		close(reached)
		<-gone
		panic(http.ErrAbortHandler)
	}}}
	i.install()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	run := start(t, command(ctx, x.signArgs(both)...))
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-reached:
			_ = run.cmd.Process.Signal(signal)
		case <-ctx.Done():
		}
	}()
	e := wait(t, run)
	cancel()
	<-over
	close(gone)
	return i, e
}
