package hashivault

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
)

// loginJWT logs in with the OIDC token of a GitHub Actions job. Its audience is
// the address of the server, unless VAULT_JWT_AUDIENCE says otherwise, so that
// no other server takes it.
func (s *session) loginJWT(ctx context.Context) error {
	role := s.env.get("ROLE")
	var jwt string
	err := s.opts.Retry.Do(ctx, "getting the job's OIDC token", func(ctx context.Context) (err error) {
		jwt, err = s.jobToken(ctx, firstOf(s.env.get("JWT_AUDIENCE"), s.address.String()))
		return err
	})
	if err != nil {
		return err
	}
	s.hide(jwt)
	return s.exchange(ctx, "jwt", "the job's OIDC token and the role "+clean(role), map[string]string{"role": role, "jwt": jwt})
}

// jobToken asks the runner for a token
// (https://docs.github.com/en/actions/reference/security/oidc).
func (s *session) jobToken(ctx context.Context, audience string) (string, error) {
	bearer := s.env.plain("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	u, err := url.Parse(s.env.plain("ACTIONS_ID_TOKEN_REQUEST_URL"))
	if err != nil || u.Host == "" || bearer == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return "", fault.Configf("vault_credentials_missing", "add `permissions: id-token: write` to the job, or use AppRole or a token outside of GitHub Actions",
			"%sROLE is set, but the job has no OIDC token to log in with", s.env.prefix)
	}
	s.hide(bearer)
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", s.noJobToken(ctx, "its address is malformed", false)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	return s.readJobToken(ctx, req)
}

func (s *session) readJobToken(ctx context.Context, req *http.Request) (string, error) {
	resp, body, err := s.fetch(s.web, req)
	var answer struct {
		Value string `json:"value"`
	}
	switch {
	case err != nil:
		return "", s.noJobToken(ctx, s.said(network(err)), true)
	case resp.StatusCode != http.StatusOK:
		return "", s.noJobToken(ctx, fmt.Sprintf("HTTP %d", resp.StatusCode), resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests)
	case json.Unmarshal(body, &answer) != nil, answer.Value == "":
		return "", s.noJobToken(ctx, "it is not understood", false)
	}
	return answer.Value, nil
}

func (s *session) noJobToken(ctx context.Context, why string, transient bool) error {
	if ctx.Err() != nil {
		return s.explainTransport(ctx, call{what: "get the job's OIDC token"}, ctx.Err())
	}
	f := fault.Undecidedf("vault_login_failed", "run the job again", "the runner gave no OIDC token: %s", why)
	f.Transient = transient
	return f
}
