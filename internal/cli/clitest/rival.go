package clitest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// makeRival lets somebody else point a tag to an image of the same repository,
// once: right after the registry has answered the next request for it of that
// method.
//
//	rival GET|HEAD|PUT app:stable DIGEST
func makeRival(ts *testscript.TestScript, _ bool, args []string) {
	s := server(ts)
	repo, tag, _ := strings.Cut(args[1], ":")
	manifests := "/v2/" + repo + "/manifests/"
	var done atomic.Bool
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != args[0] || r.URL.Path != manifests+tag || done.Swap(true) {
			return false
		}
		s.Serve(w, r)
		theirs := httptest.NewRecorder()
		s.Serve(theirs, httptest.NewRequest(http.MethodGet, manifests+args[2], nil))
		put := httptest.NewRequest(http.MethodPut, manifests+tag, theirs.Body)
		put.Header.Set("Content-Type", theirs.Header().Get("Content-Type"))
		s.Serve(httptest.NewRecorder(), put)
		return true
	})
}

// loseAnswer lets the registry do what it is asked to, once, and say that it is
// unavailable:
//
//	lose PUT app:stable
func loseAnswer(ts *testscript.TestScript, _ bool, args []string) {
	s := server(ts)
	path := "/v2/" + strings.Replace(args[1], ":", "/manifests/", 1)
	var done atomic.Bool
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != args[0] || r.URL.Path != path || done.Swap(true) {
			return false
		}
		s.Serve(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
}
