package gcpkms

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
)

const (
	ownEndpoint = "https://cloudkms.googleapis.com"
	override    = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"

	// maxResponse bounds the body of an answer. The longest that is expected,
	// a page of versions with their attestations, has some hundred KiB.
	maxResponse = 4 << 20
)

// client makes calls of the REST API, one attempt each.
type client struct {
	http       *http.Client
	endpoint   string // without a slash at the end
	redirected string // the endpoint when it is not Google's own
	creds      *credentials
}

func newClient(ref reference, o Options) (*client, error) {
	endpoint, err := endpointOf(o.getenv(override))
	if err != nil {
		return nil, err
	}
	creds, err := findCredentials(ref, o)
	if err != nil {
		return nil, err
	}
	c := &client{endpoint: endpoint, creds: creds, http: &http.Client{Transport: o.Transport, CheckRedirect: noRedirect}}
	if endpoint != ownEndpoint {
		c.redirected = endpoint
	}
	return c, nil
}

// noRedirect keeps the token from other hosts.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// endpointOf reads the override that gcloud knows, too: a URL with HTTPS, or
// with HTTP on this machine. The value is not repeated, it may hold a password.
func endpointOf(value string) (string, error) {
	if value == "" {
		return ownEndpoint, nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", fault.Configf("google_endpoint_invalid", "write https://HOST/", "%s is not the URL of an endpoint", override)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u.Scheme + "://" + u.Host, nil
	}
	return "", fault.Configf("google_endpoint_invalid", "write https://HOST/", "%s does not use HTTPS, and tokens travel encrypted only", override)
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// call is one request of the API.
type call struct {
	operation string // as the API reference names it
	resource  string // the key or version that it is about
	id        string // ours, see request
}

func (c *client) get(ctx context.Context, operation, resource, path string, query url.Values, out any) (id string, err error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, call{operation: operation, resource: resource}, http.MethodGet, path, nil, out)
}

func (c *client) post(ctx context.Context, operation, resource, path string, in, out any) (id string, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return "", err // requests hold strings and bytes
	}
	return c.do(ctx, call{operation: operation, resource: resource}, http.MethodPost, path, body, out)
}

func (c *client) do(ctx context.Context, what call, method, path string, body []byte, out any) (id string, err error) {
	token, err := c.creds.token(ctx)
	if err != nil {
		return "", explainContext(ctx, what, err)
	}
	r, id, err := c.request(ctx, method, path, body, token)
	if err != nil {
		return "", err
	}
	what.id = id
	resp, err := c.http.Do(r)
	if err != nil {
		return id, explainContext(ctx, what, explainTransport(what, err))
	}
	defer resp.Body.Close()
	text, err := readBounded(resp.Body)
	if err != nil {
		return id, explainContext(ctx, what, explainBody(what, err))
	}
	text = c.creds.redact(text)
	if resp.StatusCode != http.StatusOK {
		return id, c.explainAnswer(what, resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return id, unexpected(what, "it is not the JSON that was asked for")
	}
	return id, nil
}

// request names itself in its User-Agent, which Cloud Audit Logs keep as
// requestMetadata.callerSuppliedUserAgent: the API has no request ID of its own.
func (c *client) request(ctx context.Context, method, path string, body []byte, token string) (*http.Request, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.endpoint+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	var random [8]byte
	rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	r.Header.Set("User-Agent", "signgate request/"+id)
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.creds.quotaProject != "" {
		r.Header.Set("X-Goog-User-Project", c.creds.quotaProject)
	}
	return r, id, nil
}

var errTooLong = errors.New("the answer is too long")

func readBounded(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxResponse+1))
	if err == nil && len(text) > maxResponse {
		err = errTooLong
	}
	return text, err
}
