package registry

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/signgate/signgate/internal/fault"
)

// guard stands before the network. It refuses plain HTTP to hosts that were
// not meant to be spoken to that way, whatever asked for it, and counts what
// the run reads.
type guard struct {
	inner    http.RoundTripper
	insecure []string
	read     atomic.Int64
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !plain(r.URL.Host, g.insecure) {
		return nil, fault.Undecidedf("registry_insecure", "add "+r.URL.Host+" to insecure-registries if that is intended",
			"%s does not answer over HTTPS, and plain HTTP is spoken only to loopback hosts", r.URL.Host)
	}
	if strayed(r) {
		return nil, fault.Undecidedf("registry_realm", "tell the registry's operator",
			"the token server %s redirects logins to %s, which does not get them", r.Response.Request.URL.Host, r.URL.Host)
	}
	if r.GetBody != nil { // a request that is sent again after a challenge has no body left
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context())
		r.Body = body
	}
	resp, err := g.inner.RoundTrip(r)
	if err == nil {
		resp.Body = g.count(r, resp.Body)
	}
	return resp, err
}

// strayed reports whether a login follows a redirect to another host: the form
// has the secret in it, where a header would have been left behind.
func strayed(r *http.Request) bool {
	return r.Response != nil && r.Response.Request.URL.Host != r.URL.Host &&
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// count bounds what is read of an answer: by what the caller of Stream expects,
// or by the bounds of a run.
func (g *guard) count(r *http.Request, body io.ReadCloser) io.ReadCloser {
	if size, streamed := r.Context().Value(streamSize{}).(int64); streamed {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, size+maxError), body}
	}
	return &counted{ReadCloser: body, guard: g, limit: limitOfAnswer(r)}
}

// counted counts the bytes of one answer, against its own bound and that of
// the run.
type counted struct {
	io.ReadCloser
	guard *guard
	n     int64
	limit int64
}

// maxAnswer bounds each answer, also those that no caller has set a limit for.
const maxAnswer = MaxBlob + 1<<20

// answerLimit is the key of a larger bound, an int64, in a request's context.
type answerLimit struct{}

// limitOfAnswer returns the bound for the answer to a request.
func limitOfAnswer(r *http.Request) int64 {
	larger, _ := r.Context().Value(answerLimit{}).(int64)
	return max(maxAnswer, larger+maxError)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	if c.guard.read.Add(int64(n)) > maxRead || c.n > c.limit {
		return 0, fault.Undecidedf("limit_exceeded", "work on fewer images at a time, or find out what the registry sends",
			"the registries sent more than signgate reads: %d bytes in a run, %d in an answer", maxRead, c.limit)
	}
	return n, err
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
