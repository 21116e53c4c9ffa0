package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/memo"
)

// host is what a run knows of one registry.
type host struct {
	limiter   *limiter
	challenge memo.Memo[struct{}, *transport.Challenge] // how it wants to be logged in to: one ping
	referrers memo.Memo[struct{}, support]              // whether it serves the referrers API: one probe
	home      atomic.Pointer[string]                    // the first repository that is written to, from which blobs are mounted
	twoSteps  atomic.Bool                               // it does not take a blob with the POST that begins an upload
	noDelete  atomic.Bool                               // it does not delete manifests
}

func (c *Client) host(repository string) *host {
	h, _ := c.hosts.Do(context.Background(), hostOf(repository), func(context.Context) (*host, error) {
		return &host{limiter: newLimiter()}, nil
	})
	return h
}

// session is the authenticated way to one repository.
type session struct {
	repo   name.Repository
	scheme string
	client *http.Client
	mount  string // a repository of the same host that blobs may be mounted from; "" for none
	key    sessionKey
	opened time.Time
}

type sessionKey struct {
	repository string
	push       bool
}

// open returns the session for a repository: on first use one token, and one
// ping for each host.
func (c *Client) open(ctx context.Context, repository string, push bool) (*session, error) {
	push = push || c.opts.Push && (c.opts.Store == "" || c.opts.Store == repository)
	key := sessionKey{repository, push}
	return c.session.Do(ctx, key, func(ctx context.Context) (s *session, err error) {
		err = c.opts.Retry.Do(ctx, "logging in to "+repository, func(ctx context.Context) error {
			s, err = c.login(ctx, key)
			return err
		})
		return s, lasting(err)
	})
}

// lasting makes an error one that lasts: whoever waits for a login need not
// repeat what was repeated already.
func lasting(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || !f.Transient {
		return err
	}
	again := *f
	again.Transient = false
	return &again
}

// minSession is how long a token is good for at least: one that is refused
// sooner has not expired.
const minSession = 30 * time.Second

// expire forgets a session whose token the registry takes no more, and reports
// whether a new one is worth a try.
func (c *Client) expire(s *session) bool {
	if time.Since(s.opened) < minSession {
		return false
	}
	if now, ok := c.session.Get(s.key); ok && now == s {
		c.session.Forget(s.key)
	}
	return true
}

func (c *Client) login(ctx context.Context, key sessionKey) (*session, error) {
	repo, err := c.repository(key.repository)
	if err != nil {
		return nil, err
	}
	h, what := c.host(key.repository), request{repository: key.repository, push: key.push, method: http.MethodGet, path: "the API root or the token"}
	challenge, err := h.challenge.Do(ctx, struct{}{}, func(ctx context.Context) (*transport.Challenge, error) {
		p, err := transport.Ping(ctx, repo.Registry, c.base)
		if err != nil {
			return nil, c.fail(what, err)
		}
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	auth, err := authn.Resolve(ctx, c.opts.Keychain, repo)
	if err != nil {
		return nil, err
	}
	s := &session{repo: repo, scheme: "https", client: &http.Client{}, key: key, opened: time.Now()}
	if challenge.Insecure {
		s.scheme = "http"
	}
	if s.client.Transport, err = c.token(ctx, s, h, auth, challenge); err != nil {
		return nil, c.fail(what, err)
	}
	return s, nil
}

// token returns the transport that carries the credentials, after it has
// bought a token where the registry wants one.
func (c *Client) token(ctx context.Context, s *session, h *host, auth authn.Authenticator, challenge *transport.Challenge) (http.RoundTripper, error) {
	scope := s.repo.Scope(transport.PullScope)
	if s.key.push {
		scope, s.mount = s.repo.Scope(transport.PushScope), h.mountFrom(s.repo)
	}
	token := &transport.Token{}
	if strings.EqualFold(challenge.Scheme, "bearer") {
		var err error
		if token, err = c.buy(ctx, s, scope, auth, challenge); err != nil {
			return nil, err
		}
	}
	return transport.FromToken(s.repo.Registry, auth, c.base, challenge, token)
}

// buy returns a token for the scope. A writer asks to read the host's first
// repository as well, to mount blobs from it, and does without when that is
// denied. Credentials that are a token already are taken as they are.
func (c *Client) buy(ctx context.Context, s *session, scope string, auth authn.Authenticator, challenge *transport.Challenge) (token *transport.Token, err error) {
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return nil, err
	}
	if config.RegistryToken != "" {
		return &transport.Token{Token: config.RegistryToken}, nil
	}
	if s.mount != "" {
		from := s.repo.Registry.Repo(s.mount).Scope(transport.PullScope)
		token, err = transport.Exchange(ctx, s.repo.Registry, auth, c.base, []string{scope, from}, challenge)
	}
	if s.mount == "" || err != nil {
		s.mount = ""
		token, err = transport.Exchange(ctx, s.repo.Registry, auth, c.base, []string{scope}, challenge)
	}
	if err != nil {
		return nil, err
	}
	if token.AccessToken != "" { // the name that OAuth2 has for it
		token.Token = token.AccessToken
	}
	return token, nil
}

// mountFrom returns the host's first repository that was opened for writing,
// and "" for that one itself.
func (h *host) mountFrom(repo name.Repository) string {
	mine := repo.RepositoryStr()
	if h.home.CompareAndSwap(nil, &mine) || *h.home.Load() == mine {
		return ""
	}
	return *h.home.Load()
}

func (c *Client) repository(repository string) (name.Repository, error) {
	opts := []name.Option{name.WeakValidation}
	if plain(hostOf(repository), c.opts.Insecure) {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(repository, opts...)
	if err != nil {
		return repo, fault.Configf("reference_invalid", "write it as registry/repository", "%q is not a repository", repository)
	}
	return repo, nil
}
