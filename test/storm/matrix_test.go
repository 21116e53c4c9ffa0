package storm

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// cell is one fault at one request of a run.
type cell struct {
	mode   registrytest.Mode
	n, of  int
	fault  fault
	verify bool // of verify; else of sign
}

func (c cell) String() string {
	verb := "sign"
	if c.verify {
		verb = "verify"
	}
	return fmt.Sprintf("%s %s %02d of %02d %s", c.mode, verb, c.n, c.of, c.fault)
}

// matrix returns a cell for each request of sign and of verify in each of the
// modes, and each fault.
func matrix(t *testing.T, modes []registrytest.Mode, faults []fault) (out []cell) {
	t.Helper()
	for _, mode := range modes {
		signs, verifies := requests(t, mode)
		t.Logf("%s: %d requests to sign, %d to verify", mode, len(signs), len(verifies))
		for _, f := range faults {
			for n := range signs {
				out = append(out, cell{mode, n + 1, len(signs), f, false})
			}
			for n := range verifies {
				out = append(out, cell{mode, n + 1, len(verifies), f, true})
			}
		}
	}
	return out
}

// requests records what an undisturbed sign and verify ask for.
func requests(t *testing.T, mode registrytest.Mode) (sign, verify []string) {
	t.Helper()
	x := newTarget(t, mode)
	x.sign(t, both).exits(t, "sign", 0)
	sign = x.Requests()
	x.verify(t, both).exits(t, "verify", 0)
	return sign, x.Requests()
}

// prepare returns the target of a cell with the fault in place, and the run.
func (c cell) prepare(t *testing.T, stays bool, more ...string) (x *target, i *injector, run func() ended) {
	t.Helper()
	x = newTarget(t, c.mode)
	args := x.signArgs(both, more...)
	if c.verify {
		x.signed(t, both)
		args = x.verifyArgs(both, more...)
	}
	i = &injector{x: x, n: c.n, fault: c.fault, stays: stays}
	i.install()
	return x, i, func() ended { return signgate(t, args...) }
}

// reached counts the cells whose fault came to pass. Parallel requests make the
// number of some runs vary by a few.
type reached struct{ all, hit atomic.Int64 }

func (r *reached) count(i *injector) {
	r.all.Add(1)
	if i.hit() != "" {
		r.hit.Add(1)
	}
}

func (r *reached) check(t *testing.T) {
	t.Helper()
	all, hit := r.all.Load(), r.hit.Load()
	t.Logf("%d of %d faults came to pass", hit, all)
	if hit*10 < all*9 {
		t.Errorf("only %d of %d faults came to pass", hit, all)
	}
}

var faultModes = []registrytest.Mode{registrytest.Token, registrytest.Fallback}

// TestTransientFaults: a fault that passes, at any request, changes nothing but
// the time that a run takes.
func TestTransientFaults(t *testing.T) {
	t.Parallel()
	var r reached
	each(t, wide, matrix(t, faultModes, transient()), func(t *testing.T, c cell) {
		x, i, run := c.prepare(t, false)
		e := run().exits(t, "with a fault", 0)
		r.count(i)
		x.held(t).check(t, fmt.Sprintf("a fault at %s\n%s", i.hit(), e), x, bundle, simplesigning)
	})
	r.check(t)
}

// TestPermanentFaults: a fault that stays makes the run fail with a cause,
// unless nothing is missing without the request; and a run without it completes
// the work.
func TestPermanentFaults(t *testing.T) {
	t.Parallel()
	var r reached
	each(t, wide, matrix(t, faultModes, permanent()), func(t *testing.T, c cell) {
		x, i, run := c.prepare(t, true, "--retries", "1")
		e := run()
		r.count(i)
		e.named(t, "at "+i.hit())
		if h := x.held(t); e.code == 0 && !h.complete(x) {
			t.Errorf("exit code 0 after %s, and the registry holds %+v\n%s", i.hit(), h, e)
		}
		x.sign(t, both).exits(t, "again", 0)
		x.held(t).check(t, "after "+i.hit()+" and a second run", x, bundle, simplesigning)
	})
	r.check(t)
}
