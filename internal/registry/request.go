package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
)

// request is one call to a repository.
type request struct {
	repository string
	push       bool
	method     string
	path       string // below /v2/<name>/, or a whole URL
	header     map[string]string
	body       []byte
	limit      int64              // the most bytes that the answer may have
	size       int64              // the bytes that it should have, where that is known
	accept     []int              // the statuses that are answers; all others are errors
	check      func(answer) error // whether an answer with a body is what was asked for; may be nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes the request, repeating it while the failure is transient.
func (c *Client) do(ctx context.Context, r request) (a answer, err error) {
	err = c.repeat(ctx, c.opts.Retry, r.repository, r.push, r.method+" "+r.repository, func(ctx context.Context) error {
		a, err = c.once(ctx, r)
		return err
	})
	return a, err
}

// repeat calls f, logged in and in its turn at the repository's host, until it
// succeeds or fails for good.
func (c *Client) repeat(ctx context.Context, policy retry.Policy, repository string, push bool, what string, f func(context.Context) error) error {
	l := c.host(repository).limiter
	policy.Before = func(ctx context.Context) error {
		if _, err := c.open(ctx, repository, push); err != nil {
			return err
		}
		return l.acquire(ctx)
	}
	return policy.Do(ctx, what, func(ctx context.Context) error {
		defer l.release()
		err := f(ctx)
		if f, ok := errors.AsType[*fault.Error](err); ok && (f.Code == "registry_throttled" || f.After > 0) {
			l.slow(f.After)
		}
		return err
	})
}

// once makes the request once.
func (c *Client) once(ctx context.Context, r request) (answer, error) {
	s, resp, err := c.send(context.WithValue(ctx, answerLimit{}, r.limit), r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	return c.receive(s, r, resp)
}

// send makes the request. The caller closes the body of the answer.
func (c *Client) send(ctx context.Context, r request) (*session, *http.Response, error) {
	s, err := c.open(ctx, r.repository, r.push)
	if err != nil {
		return nil, nil, err
	}
	req, err := r.build(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, c.fail(r, err)
	}
	return s, resp, nil
}

// receive reads what came back.
func (c *Client) receive(s *session, r request, resp *http.Response) (answer, error) {
	body, err := r.read(resp)
	if err != nil {
		return answer{}, c.fail(r, err)
	}
	if resp.StatusCode == http.StatusUnauthorized && c.expire(s) {
		return answer{}, fault.Transientf("registry_denied", "run again", "the registry of %s does not take its own token any more", r.repository)
	}
	if !slices.Contains(r.accept, resp.StatusCode) {
		return answer{resp.StatusCode, resp.Header, body}, after(c.status(r, resp.StatusCode, body), resp)
	}
	if resp.StatusCode < 300 && int64(len(body)) > r.limit {
		return answer{}, tooLarge(r.repository, r.path, r.limit)
	}
	a := answer{resp.StatusCode, resp.Header, body}
	if r.check != nil && resp.StatusCode == http.StatusOK {
		return a, r.check(a)
	}
	return a, nil
}

// read reads one byte more than the limit at most, which tells that there is
// more.
func (r request) read(resp *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if resp.ContentLength == r.size {
		body.Grow(int(r.size) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(resp.Body, r.limit+1))
	return body.Bytes(), err
}

func (r request) build(ctx context.Context, s *session) (*http.Request, error) {
	u := r.path
	if !strings.Contains(u, "://") {
		u = s.url("/v2/"+s.repo.RepositoryStr()+"/").String() + r.path
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(r.body))
	if err != nil {
		return nil, fault.Undecidedf("registry_error", "tell the registry's operator", "the registry of %s answered with an address that cannot be used", r.repository)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	return req, nil
}

func (s *session) url(path string) *url.URL {
	return &url.URL{Scheme: s.scheme, Host: s.repo.RegistryStr(), Path: path}
}

// after notes in a fault how long the registry wants to be left alone
// (RFC 9110 section 10.2.3, seconds or a date).
func after(f *fault.Error, resp *http.Response) error {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		f.After = time.Duration(max(seconds, 0)) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		f.After = time.Until(at)
	}
	return f
}
