// Package vaulttest is a HashiCorp Vault, or an OpenBao, that runs in this
// process, for tests.
//
// It speaks the HTTP API for what a signer needs: transit's keys/:name (read)
// and sign/:name/:hash_algorithm, the logins of the auth methods approle and
// jwt, and token/lookup-self and token/revoke-self. It follows
// https://developer.hashicorp.com/vault/api-docs/secret/transit (and
// https://openbao.org/api-docs/secret/transit/), the habits included: with
// prehashed=true an ECDSA key signs a "digest" of any length, an RSA key signs
// with PSS and the longest salt unless the request says pkcs1v15, key_version 0
// is the latest, a key of another namespace or mount is another key, and what
// is not allowed and what is not there are told apart only for who may read.
// Statuses and texts of errors are those that OpenBao's source gives
// (sdk/logical/response_util.go, builtin/logical/transit/path_sign_verify.go,
// sdk/helper/keysutil/policy.go): a version that may not sign is HTTP 500.
//
// A JWT login is checked as the auth method does: RS256 signature of the
// issuer, iss, aud, exp, nbf and the role's bound claims. Issuer is a GitHub
// Actions runner that hands out such tokens.
//
// Differences from the service: unknown members of a sign request are refused,
// where Vault ignores them; there is no batch, no key derivation, no response
// wrapping, and a namespace is named by the header alone. Keys, roles and
// policies are made with Go methods, and Inject scripts faults.
//
// The package does not import testing, so that a command can serve it.
package vaulttest

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
	Addr      string // the address to listen on; 127.0.0.1:0 when empty
	RootToken string // a token that may do everything; "root-token" when empty
	Now       func() time.Time
}

// Request is one entry of the request log.
type Request struct {
	Operation string // "read", "sign", "login", "lookup-self", "revoke-self"; empty when not understood
	Path      string // below /v1/
	Namespace string
	Token     string // that came with the request
	Status    int
	RequestID string // of the answer; empty for errors
	Body      string
}

// Server is a running service. It is safe for concurrent use, and an
// http.Handler for tests that bring their own listener, with TLS for example.
type Server struct {
	URL    string // http://127.0.0.1:4711, without a slash at the end
	opts   Options
	server *http.Server

	mu       sync.Mutex // guards the fields below
	sealed   bool
	mounts   map[place]bool
	keys     map[place]map[string]*key
	tokens   map[string]*token
	appRoles map[place]map[string]*AppRole // by role id
	jwtRoles map[place]map[string]*JWTRole // by name
	faults   map[string][]Fault
	log      []Request
}

// place is a mount in a namespace.
type place struct{ namespace, mount string }

// New starts a server with transit at its usual mount. Close stops it.
func New(opts Options) (*Server, error) {
	opts.RootToken = cmp.Or(opts.RootToken, "root-token")
	if opts.Now == nil {
		opts.Now = time.Now
	}
	l, err := net.Listen("tcp", cmp.Or(opts.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:      "http://" + l.Addr().String(),
		opts:     opts,
		mounts:   map[place]bool{{"", "transit"}: true},
		keys:     map[place]map[string]*key{},
		tokens:   map[string]*token{opts.RootToken: {name: "root", policies: []string{"root"}, root: true}},
		appRoles: map[place]map[string]*AppRole{},
		jwtRoles: map[place]map[string]*JWTRole{},
		faults:   map[string][]Fault{},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l) // ends with ErrServerClosed
	return s, nil
}

// Close stops the server and breaks its connections, also those that hang.
func (s *Server) Close() error { return s.server.Close() }

// Env returns the environment variables that lead a client to the server as
// root.
func (s *Server) Env() map[string]string {
	return map[string]string{"VAULT_ADDR": s.URL, "VAULT_TOKEN": s.opts.RootToken}
}

// Seal seals or unseals the server.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
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
