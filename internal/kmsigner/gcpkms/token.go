package gcpkms

import (
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

const tokenTimeout = 15 * time.Second

// tokenClient sends the requests for tokens and remembers how the last one
// ended: the library wraps that into texts that quote whole answers. It follows
// no redirect, because each request carries a secret that is for one host. It
// is for one request at a time, as a token source that is reused makes them.
type tokenClient struct {
	http.RoundTripper
	last tokenError
}

func (t *tokenClient) client() *http.Client {
	return &http.Client{Transport: t, Timeout: tokenTimeout, CheckRedirect: noRedirect}
}

// RoundTrip implements http.RoundTripper.
func (t *tokenClient) RoundTrip(r *http.Request) (*http.Response, error) {
	t.last = tokenError{host: r.URL.Host}
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		t.last.err = err
		return nil, err
	}
	t.last.status = resp.StatusCode
	return resp, nil
}

// watched is a token source whose failures are tokenErrors.
type watched struct {
	oauth2.TokenSource
	requests *tokenClient
}

// Token implements oauth2.TokenSource.
func (w watched) Token() (*oauth2.Token, error) {
	w.requests.last = tokenError{}
	token, err := w.TokenSource.Token()
	if err == nil {
		return token, nil
	}
	last := w.requests.last
	return nil, &last
}

// tokenError is why there is no token. It holds nothing of an answer but its
// status: bodies may quote the request.
type tokenError struct {
	host   string // "" when no host was asked
	status int    // 0 without an answer
	err    error  // why there is no answer
}

func (e *tokenError) Error() string {
	switch {
	case e.host == "":
		return "the credentials file is not usable"
	case e.err != nil:
		return fmt.Sprintf("%s did not answer: %s", e.host, network(e.err))
	case e.status == http.StatusOK:
		return e.host + " gave none"
	}
	return fmt.Sprintf("%s answered with status %d", e.host, e.status)
}

func (e *tokenError) transient() bool {
	return e.err != nil || e.status == http.StatusTooManyRequests || e.status >= 500
}
