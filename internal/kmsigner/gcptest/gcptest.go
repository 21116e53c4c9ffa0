// Package gcptest is a Google Cloud KMS that runs in this process, for tests.
//
// It speaks the REST API
// (https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions)
// for the methods list, getPublicKey and asymmetricSign, and keeps the duties
// that make a fake worth testing against: it checks the bearer token, refuses
// every member and every query parameter that it does not model, computes and
// compares CRC32C, knows versions and their states, signs with real keys, and
// answers errors in Google's JSON form. What it cannot know it does not make
// up: the texts for a version that is not enabled, for a missing permission and
// for a token that is not valid were recorded from the real service by others;
// the rest are in our words, and a client must not read them.
//
// The token hosts of workload identity federation and of gcloud's login are
// here as well, see Credentials. Keys and states are made with Go methods, and
// Inject scripts faults. There are no policies and no quotas.
//
// The package does not import testing, so that a command can serve it.
package gcptest

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options configures a Server. The zero value is ready to use.
type Options struct {
	Addr     string // the address to listen on; 127.0.0.1:0 when empty
	Project  string // acme-prod when empty
	Location string // europe-west1 when empty
	KeyRing  string // release when empty
	Token    string // the access token that requests need; ya29.test-token when empty
	PageSize int    // the most versions of one page; 2 when 0, so that pages are turned
}

func (o Options) withDefaults() Options {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	o.Project = cmp.Or(o.Project, "acme-prod")
	o.Location = cmp.Or(o.Location, "europe-west1")
	o.KeyRing = cmp.Or(o.KeyRing, "release")
	o.Token = cmp.Or(o.Token, "ya29.test-token")
	o.PageSize = cmp.Or(o.PageSize, 2)
	return o
}

// Request is one entry of the request log.
type Request struct {
	Operation string // "asymmetricSign"; empty when the request was not understood
	Resource  string // the key or the version that it names
	UserAgent string
	Status    string // google.rpc.Code of the answer, "" for success
}

// Server is a running service. It is safe for concurrent use, and an
// http.Handler for tests that bring their own listener, with TLS for example.
type Server struct {
	URL    string // http://127.0.0.1:4711, without a slash at the end
	opts   Options
	server *http.Server

	mu      sync.Mutex // guards the fields below
	keys    map[string]*cryptoKey
	faults  map[string][]Fault
	log     []Request
	expired bool
}

// New starts a server. Close stops it.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	l, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:    "http://" + l.Addr().String(),
		opts:   opts,
		keys:   map[string]*cryptoKey{},
		faults: map[string][]Fault{},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l) // ends with ErrServerClosed
	return s, nil
}

// Close stops the server and breaks its connections, also those that hang.
func (s *Server) Close() error { return s.server.Close() }

// Env returns the environment variables that lead a client to the server, with
// the credentials file at the path.
func (s *Server) Env(credentials string) map[string]string {
	return map[string]string{
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": s.URL + "/",
		"GOOGLE_APPLICATION_CREDENTIALS":           credentials,
	}
}

// Requests returns the log: every request since New, in the order of their
// answers.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Count returns the number of logged requests of an operation.
func (s *Server) Count(operation string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// ExpireToken makes the server refuse its token from now on.
func (s *Server) ExpireToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired = true
}
