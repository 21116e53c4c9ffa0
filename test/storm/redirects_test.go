package storm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// detour is a request that the registry sends to a stranger.
type detour struct {
	where  string // what is redirected
	host   string // that the stranger goes by
	spoilt bool   // the stranger answers with other bytes
}

func (d detour) String() string {
	name := d.where + " to " + d.host
	if d.spoilt {
		name += ", spoilt"
	}
	return name
}

// TestRedirects: content may come from another host, credentials do not go
// there, and the bytes have to have their digest.
func TestRedirects(t *testing.T) {
	var detours []detour
	for _, host := range []string{"127.0.0.1", "localhost"} {
		for _, spoilt := range []bool{false, true} {
			for _, where := range []string{"GET .*/blobs/", "GET .*/manifests/sha256:"} {
				detours = append(detours, detour{where, host, spoilt})
			}
		}
		detours = append(detours, detour{"GET .*/referrers/", host, false}, detour{"GET /token", host, false},
			detour{"POST .*/blobs/", host, false}, detour{"PUT .*/blobs/", host, false}, detour{"PUT .*/manifests/", host, false})
	}
	each(t, wide, detours, func(t *testing.T, d detour) {
		x := newTarget(t, registrytest.Token)
		x.signed(t, bundle)
		s := d.redirect(t, x)
		if !strings.HasPrefix(d.where, "GET") {
			measured(t, x.signArgs(bundle, "--resign", "--retries", "1")...).named(t, d.where)
			s.check(t, d.where)
			return
		}
		e := measured(t, x.verifyDigestArgs(bundle)...)
		d.check(t, s, e)
	})
}

// redirect makes the registry answer by way of a stranger, which repeats what
// the registry has answered.
func (d detour) redirect(t *testing.T, x *target) *stranger {
	t.Helper()
	var mu sync.Mutex
	kept := map[string]*httptest.ResponseRecorder{}
	s := newStranger(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if rec := kept[r.URL.Path]; rec != nil {
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			_, _ = w.Write(d.body(rec.Body.Bytes()))
		}
	})
	x.at(d.where, func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		x.Serve(rec, r)
		if rec.Code >= 300 {
			w.Header().Set("WWW-Authenticate", rec.Header().Get("WWW-Authenticate"))
			w.WriteHeader(rec.Code)
			return
		}
		mu.Lock()
		kept[r.URL.Path] = rec
		mu.Unlock()
		http.Redirect(w, r, s.url(d.host, r.URL.Path), http.StatusTemporaryRedirect)
	})
	return s
}

// body is what the stranger repeats: as it was, or with another byte at its end.
func (d detour) body(b []byte) []byte {
	if d.spoilt {
		return append(b[:len(b)-1:len(b)-1], ' ')
	}
	return b
}

func (d detour) check(t *testing.T, s *stranger, e ended) {
	t.Helper()
	asked := s.check(t, d.where)
	t.Logf("%d requests at the other host", asked)
	e.named(t, d.where)
	content := strings.Contains(d.where, "blobs") || strings.Contains(d.where, "manifests")
	switch {
	case content && asked == 0:
		t.Errorf("the redirect was not followed\n%s", e)
	case d.spoilt:
		e.exits(t, "other bytes", 1, 3)
	case content:
		e.exits(t, "the same bytes", 0)
	}
}
