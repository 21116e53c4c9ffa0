package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	webAttempts  = 3
	webTimeout   = 15 * time.Second
	webBodyLimit = 1 << 20
)

// web makes the few requests for cloud tokens. It follows no redirect, because
// each request carries a secret that is for one host.
type web struct {
	client *http.Client
	pause  time.Duration // before the second attempt; doubled for the third
}

func newWeb(transport http.RoundTripper) *web {
	return &web{pause: 250 * time.Millisecond, client: &http.Client{
		Transport:     transport,
		Timeout:       webTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// webError is a request without success. It holds nothing of an answer but its
// status and, where a cloud names one, the kind of error.
type webError struct {
	host   string
	status int    // 0 without a whole answer
	kind   string // may be empty
	err    error  // why there is no answer
}

func (e *webError) Error() string {
	switch {
	case e.status == 0:
		return fmt.Sprintf("%s did not answer: %v", e.host, e.err)
	case e.kind == "":
		return fmt.Sprintf("%s answered with status %d", e.host, e.status)
	}
	return fmt.Sprintf("%s answered with status %d, %s", e.host, e.status, e.kind)
}

// Unwrap returns why there is no answer.
func (e *webError) Unwrap() error { return e.err }

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	e, ok := errors.AsType[*webError](err)
	return ok && (e.status == 0 || e.status == http.StatusTooManyRequests || e.status >= 500)
}

// fetch sends what build returns and decodes the JSON answer into out. It
// repeats a transient failure twice.
func (w *web) fetch(ctx context.Context, build func() (*http.Request, error), out any) error {
	var err error
	for attempt := range webAttempts {
		if attempt > 0 && !sleep(ctx, w.pause<<(attempt-1)) {
			return context.Cause(ctx)
		}
		req, buildErr := build()
		if buildErr != nil {
			return buildErr
		}
		if err = w.once(req.WithContext(ctx), out); err == nil || !transient(err) {
			return err
		}
	}
	return err
}

func (w *web) once(req *http.Request, out any) error {
	resp, err := w.client.Do(req)
	if err != nil {
		return &webError{host: req.URL.Host, err: bare(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, webBodyLimit))
	if err != nil {
		return &webError{host: req.URL.Host, err: err}
	}
	if resp.StatusCode != http.StatusOK {
		return &webError{host: req.URL.Host, status: resp.StatusCode, kind: errorKind(body)}
	}
	// The cause is left out: it could quote the body, which holds a token.
	if json.Unmarshal(body, out) != nil {
		return &webError{host: req.URL.Host, status: resp.StatusCode, kind: "a body that is not the expected JSON"}
	}
	return nil
}

// bare strips the URL, which can hold more than should be printed.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// errorKind returns the short error name that AWS and OAuth hosts send, and
// never a message: messages can quote the request.
func errorKind(body []byte) string {
	var e struct {
		Type  string `json:"__type"`
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	kind := firstOf(e.Type, e.Error)
	kind = kind[strings.LastIndexByte(kind, '#')+1:] // com.amazonaws…#AccessDenied
	if len(kind) > 80 || !plain(kind) {
		return ""
	}
	return kind
}

func plain(s string) bool {
	for _, c := range s {
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
