//go:build linux && cgo

package pkcs11signer

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

// usage is what a process must not gather.
type usage struct{ resident, descriptors, goroutines, sessions int }

func use(t *testing.T, m *fm.Module) usage {
	t.Helper()
	debug.FreeOSMemory()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return usage{pages * os.Getpagesize(), len(files), runtime.NumGoroutine(), int(m.Open.Load())}
}

// grown checks that nothing but the odd page was gathered for n of what.
func grown(t *testing.T, before, after usage, n int, what string) {
	t.Helper()
	t.Logf("%d %s: resident %+d KiB to %d KiB, descriptors %d to %d, goroutines %d to %d, sessions %d to %d", n, what,
		(after.resident-before.resident)>>10, after.resident>>10, before.descriptors, after.descriptors,
		before.goroutines, after.goroutines, before.sessions, after.sessions)
	if after.resident > before.resident+allowance {
		t.Errorf("the process grew by %d KiB", (after.resident-before.resident)>>10)
	}
	const workers = 16 // may come and go; a key keeps some that wait for work
	if after.descriptors > before.descriptors || after.goroutines > before.goroutines+workers || after.sessions > mostSessions {
		t.Error("something was left open")
	}
}

// signMany makes n signatures in as many goroutines as there may be sessions,
// and verifies some.
func signMany(t *testing.T, k signer.Key, n int) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range mostSessions {
		all.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				sig, err := k.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
				if err == nil && i%1000 == 0 {
					err = signer.ECDSASHA256.Verify(k.Public(), []byte("message"), sig.Bytes)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestNoGrowth(t *testing.T) {
	const signatures = 100_000
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	signMany(t, k, signatures/10)
	before := use(t, m)
	signMany(t, k, signatures)
	grown(t, before, use(t, m), signatures, "signatures")
	if m.UserLogins.Load() != 1 || m.Opened.Load() != mostSessions {
		t.Errorf("%d logins, %d sessions were opened", m.UserLogins.Load(), m.Opened.Load())
	}
}

// The same for sessions that are lost and keys that are opened and closed.
func TestNoGrowthByLosses(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	rounds := func(n int) {
		for range n {
			m.Die()
			works(t, k)
			openWith(t, "pkcs11:token=lab;object=p384", with(m)).Close()
		}
	}
	rounds(100)
	before := use(t, m)
	rounds(400)
	grown(t, before, use(t, m), 400, "losses")
}
