// Package registry is signgate's one way to OCI registries.
//
// A Client serves one run: connections, tokens, the answer to "does this host
// serve the referrers API" and uploaded blobs are shared by all subjects. It
// follows the OCI distribution specification 1.1
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md).
//
// Every answer is found, absent or unknown, and unknown is an error, never
// absence. Everything that is read has a size limit and is hashed against the
// digest that named it. Credentials go to the registry they belong to and to
// its token server, and plain HTTP is spoken only to loopback hosts and to
// the hosts that the user listed.
package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/singleflight"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
)

// Options configure a Client.
type Options struct {
	Keychain  authn.Keychain
	Source    func(registry string) string // the name of the credentials that Keychain used, for messages
	Insecure  []string                     // registry hosts that may be spoken to over plain HTTP
	Retry     retry.Policy
	Push      bool // the run will write: ask for that right from the start, with one token
	UserAgent string
	Transport http.RoundTripper // nil means a new one, with the proxy settings of the environment
}

// Client speaks to registries. It is safe for concurrent use.
type Client struct {
	opts Options
	base http.RoundTripper

	mu        sync.Mutex
	sessions  map[string]*session // by repository; owned by mu
	referrers map[string]bool     // by registry host: it serves the referrers API; owned by mu
	uploaded  map[string]bool     // by repository and digest; owned by mu
	uploads   singleflight.Group  // by repository and digest
}

// New returns a client without any connection.
func New(opts Options) *Client {
	base := opts.Transport
	if base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true // limits count the bytes that came over the wire
		t.MaxIdleConnsPerHost = 16
		base = t
	}
	c := &Client{opts: opts, sessions: map[string]*session{}, referrers: map[string]bool{}, uploaded: map[string]bool{}}
	c.base = transport.NewUserAgent(plainGuard{base, opts.Insecure}, opts.UserAgent)
	return c
}

// session is the authenticated way to one repository.
type session struct {
	mu     sync.Mutex
	client *http.Client    // nil until the registry has answered; owned by mu
	repo   name.Repository // owned by mu until client is set
}

// session returns the repository's session, opening it on first use: one ping
// and, where the registry wants one, one token.
func (c *Client) session(ctx context.Context, repository string, push bool) (*session, error) {
	push = push || c.opts.Push
	key := fmt.Sprint(repository, push)
	c.mu.Lock()
	s := c.sessions[key]
	if s == nil {
		s = &session{}
		c.sessions[key] = s
	}
	c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s, nil
	}
	return s, c.open(ctx, s, repository, push)
}

func (c *Client) open(ctx context.Context, s *session, repository string, push bool) error {
	repo, err := c.repository(repository)
	if err != nil {
		return err
	}
	auth, err := authn.Resolve(ctx, c.opts.Keychain, repo)
	if err != nil {
		return err
	}
	scope := transport.PullScope
	if push {
		scope = transport.PushScope
	}
	t, err := transport.NewWithContext(ctx, repo.Registry, auth, c.base, []string{repo.Scope(scope)})
	if err != nil {
		return c.fail(request{repository: repository, push: push, method: http.MethodGet, path: "the API root or the token"}, err)
	}
	s.repo, s.client = repo, &http.Client{Transport: t}
	return nil
}

func (c *Client) repository(repository string) (name.Repository, error) {
	opts := []name.Option{name.WeakValidation}
	host, _, _ := strings.Cut(repository, "/")
	if plain(host, c.opts.Insecure) {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(repository, opts...)
	if err != nil {
		return repo, fault.Configf("reference_invalid", "write it as registry/repository", "%q is not a repository", repository)
	}
	return repo, nil
}

// plainGuard refuses plain HTTP to hosts that were not meant to be spoken to
// that way, whatever asked for it.
type plainGuard struct {
	inner    http.RoundTripper
	insecure []string
}

func (g plainGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !plain(r.URL.Host, g.insecure) {
		return nil, fault.Undecidedf("registry_insecure", "add "+r.URL.Host+" to insecure-registries if that is intended",
			"%s does not answer over HTTPS, and plain HTTP is spoken only to loopback hosts", r.URL.Host)
	}
	return g.inner.RoundTrip(r)
}

// plain reports whether host may be spoken to over plain HTTP.
func plain(host string, insecure []string) bool {
	if slices.Contains(insecure, host) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
