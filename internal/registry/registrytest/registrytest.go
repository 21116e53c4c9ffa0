// Package registrytest serves OCI registries on loopback for tests, in the
// three modes that registries in the field have: with the referrers API,
// without it, and behind bearer tokens.
//
// Behind each is go-containerregistry's in-memory registry, corrected where it
// differs from OCI 1.1: referrers have their artifact type and come in the
// order in which they were pushed, and a repository has the blobs that were
// uploaded or mounted to it and no others. The setters of Server make it slow,
// strict or short of breath, as registries in the field are; they may be
// called while requests are served.
package registrytest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Mode is what a registry offers.
type Mode string

// The three modes.
const (
	Referrers Mode = "referrers" // serves the referrers API
	Fallback  Mode = "fallback"  // answers 404 to it
	Token     Mode = "token"     // serves the API, and asks for a token
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{Referrers, Fallback, Token} }

// User and Password open a registry in the mode Token.
const (
	User     = "robot"
	Password = "correct-horse"
)

// T is what helpers need of a test: *testing.T, or a script.
type T interface {
	Fatal(args ...any)
	Cleanup(func())
}

// Server is a running registry. It stops with the test.
type Server struct {
	Host string // host:port
	Mode Mode

	next      http.Handler      // the registry itself, behind record
	transport http.RoundTripper // trusts the CA; nil without TLS

	mu        sync.Mutex
	requests  []string
	intercept func(w http.ResponseWriter, r *http.Request) bool
	behaviour behaviour
	window    window
}

// Start serves an empty registry over plain HTTP.
func Start(t T, mode Mode) *Server {
	s := &Server{Mode: mode, behaviour: behaviour{singlePost: true}}
	s.serve(t, httptest.NewUnstartedServer(s.handler()), (*httptest.Server).Start)
	return s
}

func (s *Server) serve(t T, server *httptest.Server, start func(*httptest.Server)) {
	server.Config.ErrorLog = quiet()
	start(server)
	t.Cleanup(server.Close)
	_, s.Host, _ = strings.Cut(server.URL, "://")
}

// handler is the way of a request: noted, delayed, offered to the interceptor,
// counted against the rate limit, asked for its token, and answered.
func (s *Server) handler() http.Handler {
	inner := registry.New(registry.Logger(quiet()), registry.WithReferrersSupport(s.Mode != Fallback))
	inner = newBlobs(newManifests(inner, s), s)
	if s.Mode == Token {
		inner = newTokens(inner)
	}
	s.next = s.limit(inner)
	return http.HandlerFunc(s.record)
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// record notes each request when it comes in, and lets an interceptor answer in
// the registry's place.
func (s *Server) record(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	s.wait()
	s.mu.Lock()
	intercept := s.intercept
	s.mu.Unlock()
	if intercept == nil || !intercept(w, r) {
		s.Serve(w, r)
	}
}

// Serve answers a request as the registry does without an interceptor: for one
// that wants to see or to change the answer.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) { s.next.ServeHTTP(w, r) }

// Intercept lets f see each request first. When f returns true it has
// answered. Nil ends that.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Requests returns the method and path of each request so far, and forgets
// them. A delayed one counts from the moment it came in.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Writes returns how many of the requests since the last call were not reads.
func (s *Server) Writes() int {
	n := 0
	for _, r := range s.Requests() {
		if !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") {
			n++
		}
	}
	return n
}

// refuse answers with an error as the specification has them.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errors":[{"code":"`+code+`","message":"`+strings.ToLower(code)+`"}]}`+"\n")
}
