// Package registrytest serves OCI registries on loopback for tests, in the
// three modes that registries in the field have: with the referrers API,
// without it, and behind bearer tokens.
package registrytest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/google/go-containerregistry/pkg/authn"
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

	mu        sync.Mutex
	requests  []string
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

// Start serves an empty registry.
func Start(t T, mode Mode) *Server {
	s := &Server{Mode: mode}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(mode != Fallback))
	if mode == Token {
		handler = newTokens(handler)
	}
	server := httptest.NewServer(s.record(handler))
	t.Cleanup(server.Close)
	s.Host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// record notes each request, and lets an interceptor answer in the registry's
// place.
func (s *Server) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		intercept := s.intercept
		s.mu.Unlock()
		if intercept == nil || !intercept(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// Intercept lets f see each request first. When f returns true it has
// answered. Nil ends that.
func (s *Server) Intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Requests returns the method and path of each request so far, and forgets
// them.
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

// Remote returns the options that open the registry with go-containerregistry.
func (s *Server) Remote() []remote.Option {
	if s.Mode != Token {
		return nil
	}
	return []remote.Option{remote.WithAuth(&authn.Basic{Username: User, Password: Password})}
}

// Push pushes a new image with random content and returns its digest.
func (s *Server) Push(t T, repoTag string) string {
	img, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.tag(t, repoTag), img, s.Remote()...); err != nil {
		t.Fatal(err)
	}
	return digest(t, img)
}

// PushIndex pushes an index of one image for each platform ("linux/amd64"),
// and one attestation manifest as BuildKit makes them, and returns its digest.
func (s *Server) PushIndex(t T, repoTag string, platforms ...string) string {
	var index v1.ImageIndex = empty.Index
	for _, p := range append(platforms, "unknown/unknown") {
		img, err := random.Image(256, 1)
		if err != nil {
			t.Fatal(err)
		}
		os, arch, _ := strings.Cut(p, "/")
		add := mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}}}
		if os == "unknown" {
			add.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		}
		index = mutate.AppendManifests(index, add)
	}
	if err := remote.WriteIndex(s.tag(t, repoTag), index, s.Remote()...); err != nil {
		t.Fatal(err)
	}
	return digest(t, index)
}

func (s *Server) tag(t T, repoTag string) name.Tag {
	ref, err := name.NewTag(s.Host + "/" + repoTag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func digest(t T, d interface{ Digest() (v1.Hash, error) }) string {
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}
