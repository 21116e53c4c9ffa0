package storm

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// drip is an answer that comes one byte at a time.
type drip struct {
	where  string
	status int
	verify bool // else sign
}

func (d drip) String() string { return fmt.Sprintf("%s %d verify %v", d.where, d.status, d.verify) }

// TestDrip: an answer that never ends does not outlast the time of the run.
func TestDrip(t *testing.T) {
	var drips []drip
	for _, where := range []string{"GET .*/manifests/", "GET .*/referrers/", "GET /v2/$", "GET /token"} {
		for _, status := range []int{200, 401, 403, 503} {
			drips = append(drips, drip{where, status, true}, drip{where, status, false})
		}
	}
	drips = append(drips, drip{"GET .*/blobs/", 200, true}, drip{"POST .*/blobs/", 201, false}, drip{"PUT .*/manifests/", 201, false})
	each(t, wide, drips, func(t *testing.T, d drip) {
		x := newTarget(t, registrytest.Token)
		args := x.signArgs(bundle, "--timeout", "3s")
		if d.verify {
			x.signed(t, bundle)
			args = x.verifyArgs(bundle, "--timeout", "3s")
		}
		x.at(d.where, d.serve)
		e := measured(t, args...).exits(t, d.where, 3)
		if e.named(t, d.where); e.took > 6*time.Second {
			t.Errorf("%s: ended after %s\n%s", d, e.took, e)
		}
	})
}

// serve sends a byte every 100 ms for a minute.
func (d drip) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", ociIndex)
	w.Header().Set("Content-Length", "600")
	w.WriteHeader(d.status)
	for range 600 {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestRateLimit: a registry that takes 20 requests a second makes a run slower
// and nothing else.
func TestRateLimit(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			x := newTarget(t, mode)
			x.digest = x.PushIndex(t, "app:1.0", "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x")
			x.RateLimit(20)
			e := x.sign(t, both).exits(t, "sign", 0)
			if n := len(e.report.Subjects); n != 5 {
				t.Errorf("%d subjects, want the index and four platforms", n)
			}
			t.Logf("sign took %s", e.took)
			for _, f := range []string{bundle, simplesigning} {
				e := x.verify(t, f).exits(t, f, 0)
				t.Logf("verify %s took %s", f, e.took)
			}
			x.RateLimit(0)
			x.held(t).check(t, "at the index", x, bundle, simplesigning)
		})
	}
}

// TestBackoff: a registry that asks to be left alone is left alone.
func TestBackoff(t *testing.T) {
	x := newTarget(t, registrytest.Referrers)
	x.signed(t, both)
	var times []time.Time
	var mu sync.Mutex
	x.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
		if len(times) != 2 {
			return false
		}
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	x.verify(t, bundle).exits(t, "verify", 0)
	gaps := make([]time.Duration, 0, len(times))
	for i := range times[1:] {
		gaps = append(gaps, times[i+1].Sub(times[i]))
	}
	if slices.Max(gaps) < 1900*time.Millisecond {
		t.Errorf("the registry asked for 2s and got %s", gaps)
	}
}
