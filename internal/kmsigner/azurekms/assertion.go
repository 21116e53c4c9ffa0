package azurekms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/signgate/signgate/internal/fault"
)

// prover returns a federated token. Its errors are faults without a secret.
type prover func(context.Context) (string, error)

// assertion returns where the environment says that a federated token comes
// from, and nil when it says nothing.
func assertion(env environment, opts Options, carrier policy.Transporter, audience string) (prover, string) {
	if path := env.get("AZURE_FEDERATED_TOKEN_FILE"); path != "" {
		return func(context.Context) (string, error) { return fromFile(path) }, "AZURE_FEDERATED_TOKEN_FILE"
	}
	const means = "the OIDC token of the workflow"
	if opts.IDToken != nil {
		return func(ctx context.Context) (string, error) { return given(opts.IDToken(ctx, audience)) }, means
	}
	where, token := env.get("ACTIONS_ID_TOKEN_REQUEST_URL"), env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if where == "" || token == "" {
		return nil, ""
	}
	return func(ctx context.Context) (string, error) { return fromRunner(ctx, carrier, where, token, audience) }, means
}

// fromFile reads the token each time it is needed: whoever writes it renews it.
func fromFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	token := strings.TrimSpace(string(data))
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", noProof("AZURE_FEDERATED_TOKEN_FILE cannot be used: %s", clean(err.Error()))
	}
	return token, nil
}

func given(token string, err error) (string, error) {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return "", err
	}
	if err != nil || token == "" {
		return "", noProof("the workflow has no OIDC token")
	}
	return token, nil
}

// fromRunner asks GitHub's runner for a token (OpenID Connect reference, "Methods
// for requesting the OIDC token"). The runner's own token goes to its URL alone.
func fromRunner(ctx context.Context, carrier policy.Transporter, where, token, audience string) (string, error) {
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "https" && !loopback(u.Hostname()) {
		return "", noProof("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", noProof("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := carrier.Do(req)
	if err != nil {
		return "", passing(noProof("%s did not answer: %s", u.Host, network(err)))
	}
	defer resp.Body.Close()
	return readToken(u.Host, resp)
}

func readToken(host string, resp *http.Response) (string, error) {
	if s := resp.StatusCode; s != http.StatusOK {
		f := noProof("%s answered with status %d", host, s)
		f.Transient = s == http.StatusTooManyRequests || s >= 500
		f.After = retryAfter(resp)
		return "", f
	}
	var answer struct{ Value string }
	err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&answer)
	if err != nil || answer.Value == "" {
		return "", passing(noProof("%s answered without a token", host))
	}
	return answer.Value, nil
}

func noProof(format string, args ...any) *fault.Error {
	return fault.Undecidedf("azure_credentials", "check `permissions: id-token: write` and the AZURE_* variables of the step",
		"there is no token that proves this workflow to Azure: %s", fmt.Sprintf(format, args...))
}

func passing(f *fault.Error) *fault.Error {
	f.Transient = true
	return f
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// claimSet is what a token says of its holder. It is not verified: it goes into
// messages, never into a decision.
type claimSet struct {
	Subject  string `json:"sub"`
	Object   string `json:"oid"`
	App      string `json:"appid"`
	Username string `json:"upn"`
}

// claims reads the second part of a JWT (RFC 7519 section 3).
func claims(token string) (c claimSet) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(data, &c) // what is no JWT says nothing
		}
	}
	return claimSet{clean(c.Subject), clean(c.Object), clean(c.App), clean(c.Username)}
}

func (c claimSet) caller() string {
	switch {
	case c.Username != "":
		return "user " + c.Username + " with the object ID " + c.Object
	case c.Object != "":
		return "service principal with the object ID " + c.Object
	}
	return ""
}
