package hashivault

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// session is a server with a way in. The token is set by login, before the
// session is shared; after that nothing changes.
type session struct {
	target
	env    environment
	opts   Options
	client *http.Client // for the server
	web    *http.Client // for the runner's token service

	token   string
	own     bool     // the token is of our own login, and revoked at the end
	how     string   // the login, for people
	secrets []string // not to show, whatever the server says
}

// connect reads URI and environment. It asks the server nothing.
func connect(uri string, o Options) (*session, error) {
	ref, err := parse(uri)
	if err != nil {
		return nil, err
	}
	env := newEnvironment(o.LookupEnv, ref.openBao)
	t, err := newTarget(ref, env)
	if err != nil {
		return nil, err
	}
	client, err := newClient(env, o)
	if err != nil {
		return nil, err
	}
	return &session{target: t, env: env, opts: o, client: client, web: plainClient(o.Transport)}, nil
}

// plainClient does not follow redirects, which would carry a token to another
// host.
func plainClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newClient trusts the certificates of VAULT_CACERT, a file, or
// VAULT_CACERT_BYTES, PEM text, in place of the machine's.
func newClient(env environment, o Options) (*http.Client, error) {
	text, name := env.get("CACERT_BYTES"), env.prefix+"CACERT_BYTES"
	if file := env.get("CACERT"); file != "" {
		if o.TranslatePath != nil {
			file = o.TranslatePath(file)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.Configf("vault_config_invalid", "give the path of a PEM file; in the action it is relative to the workspace", "the file that %sCACERT names cannot be read: %w", env.prefix, err)
		}
		text, name = string(data), env.prefix+"CACERT"
	}
	if o.Transport != nil {
		return plainClient(o.Transport), nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32 // signatures are made side by side
	if text == "" {
		return plainClient(transport), nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fault.Configf("vault_config_invalid", "give the certificate of the authority as PEM", "there is no certificate in %s", name)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return plainClient(transport), nil
}

// hide tells the runner about a secret, and keeps it out of messages.
func (s *session) hide(secret string) {
	s.secrets = append(s.secrets, secret)
	if s.opts.Mask != nil {
		s.opts.Mask(secret)
	}
}

// server names the server in messages.
func (s *session) server() string {
	if s.openBao || s.env.prefix == "BAO_" {
		return "OpenBao at " + s.address.Host
	}
	return "Vault at " + s.address.Host
}

// said makes a text of the server fit for a message, without our secrets.
func (s *session) said(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "REDACTED")
	}
	return cmp.Or(clean(text), "no reason given")
}
