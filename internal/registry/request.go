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

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/signgate/signgate/internal/fault"
)

// request is one call to a repository.
type request struct {
	repository string
	push       bool
	method     string
	path       string // below /v2/<name>/, or a whole URL
	header     map[string]string
	body       []byte
	limit      int64 // the most bytes that the answer may have
	accept     []int // the statuses that are answers; all others are errors
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes the request, repeating it while the failure is transient.
func (c *Client) do(ctx context.Context, r request) (a answer, err error) {
	err = c.opts.Retry.Do(ctx, r.method+" "+r.repository, func(ctx context.Context) error {
		a, err = c.once(ctx, r)
		return err
	})
	return a, err
}

// once makes the request once.
func (c *Client) once(ctx context.Context, r request) (answer, error) {
	s, err := c.session(ctx, r.repository, r.push)
	if err != nil {
		return answer{}, err
	}
	req, err := r.build(ctx, s)
	if err != nil {
		return answer{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, c.fail(r, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	if err != nil {
		return answer{}, c.fail(r, err)
	}
	if !slices.Contains(r.accept, resp.StatusCode) {
		return answer{}, after(c.status(r, resp.StatusCode, body), resp)
	}
	if resp.StatusCode < 300 && int64(len(body)) > r.limit {
		return answer{}, tooLarge(r.repository, r.path, r.limit)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

func (r request) build(ctx context.Context, s *session) (*http.Request, error) {
	u := r.path
	if !strings.Contains(u, "://") {
		u = (&url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/"}).String() + r.path
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(r.body))
	if err != nil {
		return nil, fault.Undecidedf("registry_error", "", "the registry of %s answered with an address that cannot be used", r.repository)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	return req, nil
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

// fail turns an error without an answer into a fault. Nothing is known then,
// so it is undecided.
func (c *Client) fail(r request, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if e, ok := errors.AsType[*transport.Error](err); ok && e.StatusCode != 0 {
		return c.status(r, e.StatusCode, nil)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which can hold a signed query
	}
	if strings.Contains(err.Error(), "invalid realm in www-authenticate") {
		return fault.Undecidedf("registry_realm", "give the token server a host name with HTTPS in the registry's configuration",
			"the registry of %s sends its logins to an address that is not trusted with them: %w", r.repository, err)
	}
	return fault.Transientf("registry_unreachable", "check the host name, the network and the proxy settings, then run again",
		"the registry of %s cannot be reached: %w", r.repository, err)
}

// status turns an HTTP status that is no answer into a fault. The body counts
// for nothing but the registry's own error code.
func (c *Client) status(r request, status int, body []byte) *fault.Error {
	detail := strconv.Itoa(status) + " " + http.StatusText(status) + errorCode(body)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Undecidedf("registry_denied", "give credentials that may "+right(r.push)+" this repository: log in before this step, or set registry-username and registry-password",
			"the registry refused to %s %s (%s) with %s", right(r.push), r.repository, detail, c.source(r.repository))
	case status == http.StatusTooManyRequests || status >= 500:
		return fault.Transientf("registry_unavailable", "run again later", "the registry of %s answered %s to %s %s", r.repository, detail, r.method, r.path)
	}
	return fault.Undecidedf("registry_error", "check that the registry accepts OCI manifests", "the registry of %s answered %s to %s %s", r.repository, detail, r.method, r.path)
}

func right(push bool) string {
	if push {
		return "push to"
	}
	return "read"
}

func (c *Client) source(repository string) string {
	host, _, _ := strings.Cut(repository, "/")
	if c.opts.Source != nil {
		s := c.opts.Source(host)
		if rest, anonymous := strings.CutPrefix(s, "anonymous"); !anonymous && s != "" {
			return "credentials from " + s
		} else if anonymous {
			return "no credentials" + rest
		}
	}
	return "no credentials"
}

func tooLarge(repository, what string, limit int64) error {
	return fault.Undecidedf("limit_exceeded", "find out who wrote it, and delete it if it does not belong there",
		"%s in %s is larger than the limit of %d bytes", what, repository, limit)
}
