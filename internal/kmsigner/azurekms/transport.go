package azurekms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// maxResponse bounds the body of an answer; the longest that is expected, the
// configuration of Entra ID, has a few KiB.
const maxResponse = 1 << 20

// direct returns an HTTP client that follows no redirect, which would carry a
// token to another host.
func direct() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// transport lets requests through to known hosts over HTTPS only, and bounds
// what comes back.
type transport struct {
	carrier policy.Transporter
	vault   string   // its host
	logins  []string // hosts
}

// Do sends one request.
func (t transport) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != t.vault && !slices.Contains(t.logins, req.URL.Host) {
		return nil, noted(req.Context(), strayError(req.URL.Host))
	}
	resp, err := t.carrier.Do(req)
	if err != nil {
		return nil, noted(req.Context(), err)
	}
	resp.Body = limited{io.LimitReader(resp.Body, maxResponse), resp.Body}
	if req.URL.Host == t.vault && !sound(resp) {
		resp.Body.Close()
		return nil, errChallenge
	}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// strayError is a request to a host that is neither the vault nor a login host.
type strayError string

func (e strayError) Error() string {
	return fmt.Sprintf("a request to %q, which is neither the vault nor a login host of its cloud, was not sent", clean(string(e)))
}

var errChallenge = errors.New("the challenge of the vault is malformed")

var authority = regexp.MustCompile(`(?i)\bauthorization(?:_uri)?="?([^", ]*)`)

// sound reports whether the authority of a challenge, if there is one, is a URL
// with a tenant. The SDK takes the fourth part between slashes without looking
// (parseTenant of keyvault/internal v1.2.0), and panics when there is none.
func sound(resp *http.Response) bool {
	header := strings.Join(resp.Header.Values("WWW-Authenticate"), " ")
	header += " " + strings.ReplaceAll(header, "Bearer ", "") // as the SDK reads it
	for _, m := range authority.FindAllStringSubmatch(header, -1) {
		u, err := url.Parse(m[1])
		if err != nil || u.Scheme != "https" || u.Host == "" || len(u.Path) < 2 {
			return false
		}
	}
	return true
}

// trail remembers the first failure on the way to a token. The identity library
// flattens causes into texts, which may quote answers that hold a token.
type trail struct{ err error }

type trailKey struct{}

func withTrail(ctx context.Context) (context.Context, *trail) {
	t := new(trail)
	return context.WithValue(ctx, trailKey{}, t), t
}

// noted records err in the trail of ctx, if there is one, and returns it.
func noted(ctx context.Context, err error) error {
	if t, ok := ctx.Value(trailKey{}).(*trail); ok && t.err == nil {
		t.err = err
	}
	return err
}
