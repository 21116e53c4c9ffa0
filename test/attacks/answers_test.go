package attacks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// misbehave returns what the registry does in place of its duty.
func (s *scene) misbehave() func(http.ResponseWriter, *http.Request) bool {
	if len(s.Answers) == 0 {
		return nil
	}
	var mu sync.Mutex // guards done
	done := make([]int, len(s.Answers))
	var matches []*regexp.Regexp
	for _, a := range s.Answers {
		matches = append(matches, regexp.MustCompile("^"+s.expand(a.Match)))
	}
	return func(w http.ResponseWriter, r *http.Request) bool {
		for i, a := range s.Answers {
			if !matches[i].MatchString(r.Method + " " + r.URL.Path) {
				continue
			}
			mu.Lock()
			done[i]++
			over := a.Times > 0 && done[i] > a.Times
			mu.Unlock()
			if !over {
				return s.answer(a, w, r)
			}
		}
		return false
	}
}

func (s *scene) answer(a answer, w http.ResponseWriter, r *http.Request) bool {
	switch {
	case a.Delay > 0:
		time.Sleep(a.Delay)
		return false
	case a.Drop:
		panic(http.ErrAbortHandler)
	case a.Tag != nil:
		s.move(a.Tag)
		return false
	case a.Spoil:
		s.spoil(w, r)
		return true
	case a.Redirect:
		s.redirect(w, r)
		return true
	case a.Entries > 0:
		s.crowd(a.Entries, w, r)
		return true
	}
	for k, v := range a.Header {
		w.Header().Set(k, strings.ReplaceAll(s.expand(v), "STRANGER", s.stranger.URL))
	}
	if a.Type != "" {
		w.Header().Set("Content-Type", a.Type)
	}
	w.WriteHeader(max(a.Status, http.StatusOK))
	_, _ = w.Write([]byte(s.expand(a.Body)))
	_, _ = w.Write([]byte(strings.Repeat(" ", a.Fill)))
	return true
}

// crowd lists n referrers that nobody has before those that there are.
func (s *scene) crowd(n int, w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	s.Serve(rec, r)
	var junk strings.Builder
	for i := range n {
		fmt.Fprintf(&junk, `{"mediaType":%q,"digest":%q,"size":9,"artifactType":%q},`, ociManifest, digestOf([]byte{byte(i), byte(i >> 8)}), bundleType)
	}
	w.Header().Set("Content-Type", ociIndex)
	list := strings.Replace(rec.Body.String(), `"manifests":[`, `"manifests":[`+junk.String(), 1)
	_, _ = w.Write([]byte(strings.Replace(list, ",]", "]", 1)))
}

// spoil answers with another byte at the end.
func (s *scene) spoil(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	s.Serve(rec, r)
	w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	body := rec.Body.Bytes()
	_, _ = w.Write(append(body[:len(body)-1:len(body)-1], ' '))
}

// redirect has the stranger repeat what the registry answers.
func (s *scene) redirect(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	s.Serve(rec, r)
	if rec.Code >= 300 {
		w.Header().Set("WWW-Authenticate", rec.Header().Get("WWW-Authenticate"))
		w.WriteHeader(rec.Code)
		return
	}
	s.stranger.repeat(r.URL.Path, rec)
	http.Redirect(w, r, s.stranger.URL+r.URL.Path, http.StatusTemporaryRedirect)
}

// stranger is a host that the registry leads to. It has no right to credentials.
type stranger struct {
	*httptest.Server

	mu      sync.Mutex
	kept    map[string]*httptest.ResponseRecorder
	letters []string // credentials that came
}

func newStranger(t *testing.T) *stranger {
	t.Helper()
	s := &stranger{kept: map[string]*httptest.ResponseRecorder{}}
	s.Server = httptest.NewServer(s)
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	t.Cleanup(s.Close)
	return s
}

func (s *stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := r.Header.Get("Authorization"); v != "" {
		s.letters = append(s.letters, v+" at "+r.URL.Path)
	}
	if rec := s.kept[r.URL.Path]; rec != nil {
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		_, _ = w.Write(rec.Body.Bytes())
	}
}

func (s *stranger) repeat(path string, rec *httptest.ResponseRecorder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[path] = rec
}

func (s *stranger) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.letters
}
