package hashivault_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/signer"
)

const secretID = "s3cretIdThatMustNotShow"

var signerRules = []vaulttest.Rule{
	{Path: "transit/keys/release", Capabilities: []string{"read"}},
	{Path: "transit/sign/release/*", Capabilities: []string{"update"}},
}

// site is a server with a key and all login methods, each of which may use the
// key and nothing else.
type site struct {
	*vaulttest.Server
	issuer *vaulttest.Issuer
	home   string // with a .vault-token in it
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Server: start(t), home: t.TempDir()}
	create(t, s.Server, release, vaulttest.P256)
	issuer, err := vaulttest.NewIssuer("acme/app", "release")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { issuer.Close() })
	s.issuer = issuer
	s.AddAppRole("", "approle", vaulttest.AppRole{RoleID: "role-id", SecretID: secretID, Rules: signerRules})
	s.AddJWTRole("", "jwt", "signer", vaulttest.JWTRole{Issuer: issuer, BoundAudiences: []string{s.URL},
		BoundClaims: map[string]string{"repository": "acme/app", "environment": "release"}, Rules: signerRules})
	s.CreateToken("", "hvs.given", signerRules)
	s.CreateToken("", "hvs.file", signerRules)
	if err := os.WriteFile(filepath.Join(s.home, ".vault-token"), []byte("hvs.file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// all has every login there is.
func (s *site) all() env {
	return env{"VAULT_ADDR": s.URL, "VAULT_TOKEN": "hvs.given\n", "VAULT_ROLE": "signer", "VAULT_ROLE_ID": "role-id", "VAULT_SECRET_ID": secretID, "HOME": s.home}.with(s.issuer.Env())
}

func (e env) without(names ...string) env {
	out := e.with(nil)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// The order of the logins, and which tokens are revoked: those that we made.
func TestLogins(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		without []string
		name    string // of the login, in the log of the server
		own     bool
		notice  string
	}{
		{nil, "hvs.given", false, "VAULT_TOKEN is used to log in; VAULT_ROLE is set, too"},
		{[]string{"VAULT_TOKEN"}, "auth/jwt/login", true, "VAULT_ROLE is used to log in; VAULT_ROLE_ID is set, too"},
		{[]string{"VAULT_TOKEN", "VAULT_ROLE"}, "auth/approle/login", true, ""},
		{[]string{"VAULT_TOKEN", "VAULT_ROLE", "VAULT_ROLE_ID"}, "hvs.file", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, notice, masked := options(s.all().without(c.without...)), "", []string{}
			o.Notice = func(text string) { notice += text }
			o.Mask = func(secrets ...string) { masked = append(masked, secrets...) }
			before, logins := len(s.Requests()), s.Count("login")
			key, err := hashivault.Open(t.Context(), "hashivault://release", o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
				t.Error(err)
			}
			log := s.Requests()[before:]
			used := log[len(log)-1].Token
			if !slices.Contains(masked, used) || c.own != (s.Count("login") > logins) {
				t.Errorf("the token is masked: %v, logins: %d", slices.Contains(masked, used), s.Count("login")-logins)
			}
			if c.name != used && c.name != log[0].Path || !strings.HasPrefix(notice, c.notice) || c.notice == "" && notice != "" {
				t.Errorf("login %s, notice %q; want %s and %q", log[0].Path, notice, c.name, c.notice)
			}
			if strings.Contains(key.ID(), used) {
				t.Error("the ID shows the token")
			}
			for range 2 {
				if err := key.Close(); err != nil {
					t.Error(err)
				}
			}
			if valid := slices.Contains(s.Tokens(), used); valid == c.own {
				t.Errorf("after Close the token is valid: %v", valid)
			}
		})
	}
	if n := s.Count("revoke-self"); n != 2 || len(s.Tokens()) != 2 {
		t.Errorf("%d revocations, tokens left: %d; want 2 and 2", n, len(s.Tokens()))
	}
}

// All secrets of a login are masked.
func TestMask(t *testing.T) {
	s := newSite(t)
	var masked []string
	for _, without := range [][]string{{"VAULT_TOKEN"}, {"VAULT_TOKEN", "VAULT_ROLE"}} {
		o := options(s.all().without(without...))
		o.Mask = func(secrets ...string) { masked = append(masked, secrets...) }
		if _, err := hashivault.Open(t.Context(), "hashivault://release", o); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range append(s.Tokens(), secretID, s.issuer.Request, s.issuer.Issued()[0]) {
		if secret != "hvs.given" && secret != "hvs.file" && !slices.Contains(masked, secret) {
			t.Errorf("%.20s… is not masked", secret)
		}
	}
}

func TestLoginFaults(t *testing.T) {
	jwt, appRole := []string{"VAULT_TOKEN", "VAULT_ROLE_ID"}, []string{"VAULT_TOKEN", "VAULT_ROLE"}
	for name, c := range map[string]struct {
		without    []string
		env        env
		outcome    fault.Outcome
		code, says string
	}{
		"none":               {[]string{"VAULT_TOKEN", "VAULT_ROLE", "VAULT_ROLE_ID", "HOME"}, nil, fault.Config, "vault_credentials_missing", "set VAULT_ROLE for a login"},
		"no file":            {[]string{"VAULT_TOKEN", "VAULT_ROLE", "VAULT_ROLE_ID"}, env{"HOME": "/none"}, fault.Config, "vault_credentials_missing", "there is no login"},
		"OpenBao, no BAO_*":  {nil, env{"BAO_ADDR": "https://127.0.0.1:1"}, fault.Passed, "", ""},
		"wrong token":        {nil, env{"VAULT_TOKEN": "hvs.wr0ng"}, fault.Undecided, "kms_access_denied", "permission denied (HTTP 403)"},
		"token of two lines": {nil, env{"VAULT_TOKEN": "hvs.wr0ng\nx"}, fault.Config, "vault_config_invalid", "VAULT_TOKEN holds characters"},
		"wrong secret":       {appRole, env{"VAULT_SECRET_ID": "wr0ng"}, fault.Undecided, "vault_login_failed", "invalid role or secret ID (HTTP 400)"},
		"no secret":          {append(appRole, "VAULT_SECRET_ID"), nil, fault.Undecided, "vault_login_failed", "invalid role or secret ID"},
		"wrong auth path":    {appRole, env{"VAULT_AUTH_PATH": "other"}, fault.Undecided, "vault_login_failed", "auth/other"},
		"bad auth path":      {appRole, env{"VAULT_AUTH_PATH": "../sys"}, fault.Config, "vault_config_invalid", "VAULT_AUTH_PATH"},
		"other namespace":    {appRole, env{"VAULT_NAMESPACE": "other"}, fault.Undecided, "vault_login_failed", "permission denied"},
		"no id-token":        {append(jwt, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"), nil, fault.Config, "vault_credentials_missing", "`permissions: id-token: write`"},
		"runner over HTTP":   {jwt, env{"ACTIONS_ID_TOKEN_REQUEST_URL": "http://runner.example/"}, fault.Config, "vault_credentials_missing", "no OIDC token"},
		"runner refuses":     {jwt, env{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "wr0ng"}, fault.Undecided, "vault_login_failed", "HTTP 401"},
		"no such role":       {jwt, env{"VAULT_ROLE": "other"}, fault.Undecided, "vault_login_failed", `role "other" could not be found`},
		"audience":           {jwt, env{"VAULT_JWT_AUDIENCE": "https://other"}, fault.Undecided, "vault_login_failed", "audience claim does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			o := options(s.all().without(c.without...).with(c.env))
			_, err := hashivault.Open(t.Context(), "hashivault://release", o)
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
			for _, secret := range append(s.issuer.Issued(), "wr0ng", secretID, s.issuer.Request) {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s shows a secret", fault.CodeOf(err))
				}
			}
			if n := s.Count("login"); n > 1 {
				t.Errorf("%d logins for what cannot work", n)
			}
		})
	}
}

// A job of another environment, or another repository, is not let in.
func TestBoundClaims(t *testing.T) {
	s := newSite(t)
	s.issuer.Claims["environment"] = "test"
	_, err := hashivault.Open(t.Context(), "hashivault://release", options(s.all().without("VAULT_TOKEN")))
	wantFault(t, err, fault.Undecided, "vault_login_failed", `claim "environment" does not match`)
}

func TestLoginRetries(t *testing.T) {
	s := newSite(t)
	s.Inject("login", vaulttest.Throttle(), vaulttest.Internal(), vaulttest.Truncate())
	if _, err := hashivault.Open(t.Context(), "hashivault://release", options(s.all().without("VAULT_TOKEN"))); err != nil {
		t.Error(err)
	}
	if n, tokens := s.Count("login"), len(s.issuer.Issued()); n != 4 || tokens != 1 {
		t.Errorf("%d logins with %d tokens of the runner, want 4 with 1", n, tokens)
	}
	s.issuer.FailWith(http.StatusServiceUnavailable)
	_, err := hashivault.Open(t.Context(), "hashivault://release", options(s.all().without("VAULT_TOKEN")))
	wantFault(t, err, fault.Undecided, "vault_login_failed", "HTTP 503")
	if !fault.IsTransient(err) {
		t.Error("an outage of the runner's token service is not transient")
	}
}

// A login whose key cannot be used leaves no token behind.
func TestRevokedAfterFailure(t *testing.T) {
	s := newSite(t)
	o := options(s.all().without("VAULT_TOKEN"))
	_, err := hashivault.Open(t.Context(), "hashivault://other", o)
	wantFault(t, err, fault.Undecided, "kms_access_denied", "transit/keys/other")
	ctx, cancel := context.WithCancel(t.Context())
	s.Inject("read", vaulttest.Hang())
	go func() {
		for s.Count("read") < 2 {
		}
		cancel()
	}()
	_, err = hashivault.Open(ctx, "hashivault://release", o)
	wantFault(t, err, fault.Undecided, "interrupted")
	if n := len(s.Tokens()); n != 2 || s.Count("revoke-self") != 2 {
		t.Errorf("%d tokens left, want the 2 that were given", n)
	}
}

func TestRevocationFails(t *testing.T) {
	s := newSite(t)
	key, err := hashivault.Open(t.Context(), "hashivault://release", options(s.all().without("VAULT_TOKEN")))
	if err != nil {
		t.Fatal(err)
	}
	s.Inject("revoke-self", vaulttest.Times(4, vaulttest.Internal())...)
	wantFault(t, key.Close(), fault.Undecided, "kms_unavailable", "revoke the token of this run")
}

// Two servers, each with its variables: no token goes to the other one.
func TestFamilies(t *testing.T) {
	vault, bao := start(t), start(t)
	for _, server := range []*vaulttest.Server{vault, bao} {
		create(t, server, release, vaulttest.P256)
		server.CreateToken("", "hvs.one", signerRules)
	}
	both := env{"VAULT_ADDR": vault.URL, "VAULT_TOKEN": root, "BAO_ADDR": bao.URL, "BAO_TOKEN": "hvs.one"}
	for _, c := range []struct {
		uri    string
		env    env
		server *vaulttest.Server
		token  string
	}{
		{"hashivault://release", both, vault, root},
		{"openbao://release", both, bao, "hvs.one"},
		{"openbao://release", both.without("BAO_ADDR"), vault, root},
		{"hashivault://release", both.without("VAULT_ADDR"), bao, "hvs.one"},
	} {
		if _, err := hashivault.Open(t.Context(), c.uri, options(c.env)); err != nil {
			t.Error(err)
			continue
		}
		log := c.server.Requests()
		if last := log[len(log)-1]; last.Token != c.token {
			t.Errorf("%s: the wrong token was sent", c.uri)
		}
	}
	_, err := hashivault.Open(t.Context(), "openbao://release", options(both.without("BAO_TOKEN")))
	wantFault(t, err, fault.Config, "vault_credentials_missing", "BAO_TOKEN")
	if vault.Count("read")+bao.Count("read") != 4 {
		t.Error("a request was sent without a login")
	}
}

// What a login is answered with has to hold a token.
func TestStrangeLogins(t *testing.T) {
	for body, code := range map[string]string{
		`{"auth":{"client_token":"","mfa_requirement":{}}}`: "vault_login_failed",
		`{"auth":null}`:                   "kms_unexpected",
		`{}`:                              "kms_unexpected",
		`{"auth":{"client_token":"a b"}}`: "kms_unexpected",
		`{"auth":{"client_token":"hvs.x","client_token":"hvs.y"}}`: "kms_unexpected",
	} {
		stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }))
		_, err := hashivault.Open(t.Context(), "hashivault://release", options(env{"VAULT_ADDR": stranger.URL, "VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": secretID}))
		if fault.CodeOf(err) != code {
			t.Errorf("%s: %v (%s), want %s", body, err, fault.CodeOf(err), code)
		}
		stranger.Close()
	}
}

// A batch token ends by itself and cannot be revoked.
func TestBatchToken(t *testing.T) {
	s := newSite(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			w.Write([]byte(`{"auth":{"client_token":"hvs.given","token_type":"batch"}}`))
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer front.Close()
	key, err := hashivault.Open(t.Context(), "hashivault://release", options(env{"VAULT_ADDR": front.URL, "VAULT_ROLE_ID": "r"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Close(); err != nil || s.Count("revoke-self") != 0 {
		t.Errorf("%v, %d revocations", err, s.Count("revoke-self"))
	}
}
