package storm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// stranger is a server that a registry leads its clients to. It has no right to
// their credentials.
type stranger struct {
	*httptest.Server

	mu      sync.Mutex
	asked   []string // paths
	letters []string // credentials that came
}

func newStranger(t *testing.T, answer http.HandlerFunc) *stranger {
	t.Helper()
	s := &stranger{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stranger) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		if v := r.Header.Get(name); v != "" {
			s.letters = append(s.letters, name+": "+v+" at "+r.URL.Path)
		}
	}
	_ = r.ParseForm()
	if r.Form.Get("password") != "" || r.URL.User != nil {
		s.letters = append(s.letters, "a password at "+r.URL.Path)
	}
}

// check fails the test when credentials came, and returns how often it was
// asked.
func (s *stranger) check(t *testing.T, what string) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.letters) > 0 {
		t.Errorf("%s: another host got %q", what, s.letters)
	}
	return len(s.asked)
}

// url returns the address under a host name: the registry's own with another
// port, or another name.
func (s *stranger) url(host, path string) string {
	return strings.Replace(s.URL, "127.0.0.1", host, 1) + path
}
