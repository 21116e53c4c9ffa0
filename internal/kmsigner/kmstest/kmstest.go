// Package kmstest is an AWS KMS that runs in this process, for tests.
//
// It speaks the wire protocol of the real service (AWS JSON 1.1 over POST /)
// for the operations Sign, Verify, GetPublicKey and DescribeKey, and keeps the
// duties that make a fake worth testing against: it recomputes the SigV4
// signature of every request with a known secret, refuses what the service
// refuses and in the same order (parameters, key, state, usage and algorithm,
// digest length, dry run), signs with real keys, and answers errors with the
// codes and texts of the service, always with HTTP 400 but for faults of the
// service itself; errors.go says for each text where it was seen.
//
// A server is one Region. CreateMultiRegionKey makes a key whose material is
// shared with the servers of other Regions, and Transport leads the endpoints of
// AWS to them.
//
// Differences from the service: unknown members of a request are refused, where
// AWS ignores them; ED25519_PH_SHA_512, SM2 and secp256k1 do not exist; Verify
// does not take an external μ; a new replica is enabled at once; there are no
// policies and no quotas. Keys, aliases and states are made with Go methods, and
// Inject scripts faults.
//
// The package does not import testing, so that a command can serve it.
package kmstest

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// Options configures a Server. The zero value is ready to use.
type Options struct {
	Addr            string      // the address to listen on; 127.0.0.1:0 when empty
	Region          string      // eu-west-1 when empty
	Account         string      // 111122223333 when empty
	AccessKeyID     string      // AWS's documented example when empty
	SecretAccessKey string      // AWS's documented example when empty
	SessionToken    string      // requests need this token when it is set
	TLS             *tls.Config // the server speaks HTTPS with it; plain HTTP when nil
	Now             func() time.Time
}

func (o Options) withDefaults() Options {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	o.Region = cmp.Or(o.Region, "eu-west-1")
	o.Account = cmp.Or(o.Account, "111122223333")
	o.AccessKeyID = cmp.Or(o.AccessKeyID, "AKIAIOSFODNN7EXAMPLE")
	o.SecretAccessKey = cmp.Or(o.SecretAccessKey, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Request is one entry of the request log.
type Request struct {
	Operation string // "Sign"; empty when the request was not understood
	KeyID     string // as the client sent it
	DryRun    bool
	Error     string // the __type of the answer, "" for success
	RequestID string
}

// Server is a running service. It is safe for concurrent use, and an
// http.Handler for tests that bring their own listener, with TLS for example.
type Server struct {
	URL    string // http://127.0.0.1:4711, without a slash at the end
	opts   Options
	server *http.Server

	mu      sync.Mutex // guards the fields below
	keys    map[string]*key
	aliases map[string]string // alias/name → key id
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
	scheme := "http://"
	if opts.TLS != nil {
		l, scheme = tls.NewListener(l, opts.TLS), "https://"
	}
	s := &Server{
		URL:     scheme + l.Addr().String(),
		opts:    opts,
		keys:    map[string]*key{},
		aliases: map[string]string{},
		faults:  map[string][]Fault{},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l) // ends with ErrServerClosed
	return s, nil
}

// Close stops the server and breaks its connections, also those that hang.
func (s *Server) Close() error { return s.server.Close() }

// Env returns the environment variables that lead an AWS SDK to the server and
// keep it from the files and profiles of the machine.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_KMS":        s.URL,
		"AWS_REGION":                  s.opts.Region,
		"AWS_ACCESS_KEY_ID":           s.opts.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":       s.opts.SecretAccessKey,
		"AWS_SESSION_TOKEN":           s.opts.SessionToken,
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
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

// ExpireToken makes the server refuse its credentials as expired.
func (s *Server) ExpireToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired = true
}
