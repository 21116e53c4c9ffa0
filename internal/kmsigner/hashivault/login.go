package hashivault

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// login gets a token by the first method that the environment has, in the order
// of the package comment. It does not go on to the next when one fails.
func (s *session) login(ctx context.Context) error {
	type method struct {
		variable string
		run      func(context.Context) error
	}
	var given []method
	for _, m := range []method{{"TOKEN", s.givenToken}, {"ROLE", s.loginJWT}, {"ROLE_ID", s.loginAppRole}} {
		if s.env.get(m.variable) != "" {
			given = append(given, m)
		}
	}
	if len(given) == 0 {
		return s.tokenFile()
	}
	if len(given) > 1 && s.opts.Notice != nil {
		s.opts.Notice(s.env.prefix + given[0].variable + " is used to log in; " + s.env.prefix + given[1].variable + " is set, too, and is not used")
	}
	return given[0].run(ctx)
}

func (s *session) givenToken(context.Context) error {
	return s.use(s.env.get("TOKEN"), "the token in "+s.env.prefix+"TOKEN")
}

// tokenFile takes the token that `vault login` has left.
func (s *session) tokenFile() error {
	data, err := os.ReadFile(filepath.Join(s.env.plain("HOME"), ".vault-token"))
	if token := strings.TrimSpace(string(data)); s.env.plain("HOME") != "" && err == nil && token != "" {
		return s.use(token, "the token in ~/.vault-token")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && s.env.plain("HOME") != "" {
		return fault.Configf("vault_credentials_missing", "let this user read it, or set "+s.env.prefix+"TOKEN", "the token in ~/.vault-token cannot be read")
	}
	return fault.Configf("vault_credentials_missing", "set "+s.env.prefix+"ROLE for a login with the job's OIDC token, "+s.env.prefix+"ROLE_ID and "+s.env.prefix+"SECRET_ID for AppRole, or "+s.env.prefix+"TOKEN",
		"there is no login for %s", s.server())
}

// use takes a token that was given, and that is not ours to revoke.
func (s *session) use(token, how string) error {
	s.hide(token)
	if !wellFormed(token) {
		return fault.Configf("vault_config_invalid", "check the secret that fills it", "%s holds characters that no token has", how)
	}
	s.token, s.how = token, how
	return nil
}

// wellFormed reports whether a token can be the value of a header.
func wellFormed(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func (s *session) loginAppRole(ctx context.Context) error {
	secret := s.env.get("SECRET_ID")
	if secret != "" {
		s.hide(secret)
	}
	return s.exchange(ctx, "approle", "AppRole", map[string]string{"role_id": s.env.get("ROLE_ID"), "secret_id": secret})
}

// exchange makes a login (POST /auth/:path/login).
func (s *session) exchange(ctx context.Context, mount, name string, body map[string]string) error {
	mount, err := s.env.path(s.env.prefix+"AUTH_PATH", firstOf(s.env.get("AUTH_PATH"), mount))
	if err != nil {
		return err
	}
	var auth struct {
		Token string `json:"client_token"`
		Type  string `json:"token_type"`
	}
	c := call{what: "log in with " + name + " at auth/" + mount, method: "POST", path: "auth/" + mount + "/login", namespace: s.home, body: body, login: true}
	err = s.opts.Retry.Do(ctx, "the login with "+name, func(ctx context.Context) error {
		_, err := s.ask(ctx, c, &auth)
		return err
	})
	if err != nil {
		return err
	}
	if auth.Token == "" {
		return fault.Undecidedf("vault_login_failed", "use a role without multi-factor authentication", "%s gave no token in answer to the request to %s", s.server(), c.what)
	}
	s.hide(auth.Token)
	if !wellFormed(auth.Token) {
		return s.unexpected(c.what, "its token holds characters that no token has")
	}
	s.token, s.how = auth.Token, name+" at auth/"+mount
	s.own = auth.Type != "batch" // a batch token cannot be revoked
	return nil
}

// revoke ends a token of our own login (POST /auth/token/revoke-self), also
// when the run was cancelled.
func (s *session) revoke() error {
	if !s.own {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	return s.opts.Retry.Do(ctx, "revoking the token of this run", func(ctx context.Context) error {
		_, err := s.ask(ctx, call{what: "revoke the token of this run", method: "POST", path: "auth/token/revoke-self", namespace: s.home}, nil)
		return err
	})
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
