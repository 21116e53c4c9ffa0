// Package hashivault signs with keys of the transit engine of HashiCorp Vault
// and of OpenBao, over their HTTP API
// (https://developer.hashicorp.com/vault/api-docs/secret/transit,
// https://openbao.org/api-docs/secret/transit/).
//
// A key is named as in cosign, hashivault://NAME, or openbao://NAME; ?mount=,
// ?namespace= and ?version= say what cosign leaves to the environment. The
// server is VAULT_ADDR or BAO_ADDR, over HTTPS unless it is on this machine;
// one family of variables is used for all.
//
// Open logs in, reads the key once and chooses a version: that of the URI, or
// the latest. From then on the key is that version, whatever is rotated: each
// signature is asked of it, and the version in the answer is what the signature
// is reported to be of.
//
// The server sees the digest of a message, computed here, except for Ed25519
// keys. It would sign a digest of any length, and an RSA key would sign with
// PSS; hash, length, signature_algorithm and marshaling_algorithm are ours to
// say.
//
// A login, in this order: a token in the environment; the OIDC token of a
// GitHub Actions job, with a role of the auth method jwt; AppRole; the token in
// ~/.vault-token. Close revokes the token that a login made. Redirects are not
// followed, so that no credential goes to another host. No text of a fault
// holds a secret.
package hashivault

import (
	"context"
	"crypto"
	"net/http"
	"sync"
	"time"

	"github.com/signgate/signgate/internal/retry"
)

// Options says how Open works.
type Options struct {
	// LookupEnv returns an environment variable and whether it is set; nil
	// is os.LookupEnv.
	LookupEnv func(name string) (string, bool)

	// TranslatePath turns a path of the runner, in VAULT_CACERT, into the one
	// that this process sees. It may be nil.
	TranslatePath func(path string) string

	// Notice is told, in one sentence, what a user may want to know, like a
	// login that another one makes useless. It may be nil.
	Notice func(text string)

	// Mask is told every secret before it is used: tokens, the OIDC token,
	// the secret ID. It may be nil.
	Mask func(secrets ...string)

	// Transport carries all requests; nil is net/http's, which honours
	// HTTPS_PROXY, with the certificates of VAULT_CACERT.
	Transport http.RoundTripper

	// Retry governs the login and the reading of the key. Sign does not
	// retry.
	Retry retry.Policy
}

// Key is a version of a transit key. It is a signer.Key and an io.Closer.
type Key struct {
	*session
	public  crypto.PublicKey
	version int
	close   sync.Once
}

// revokeTimeout bounds how long Close waits.
const revokeTimeout = 5 * time.Second

// Open logs in and reads the key that uri names.
func Open(ctx context.Context, uri string, o Options) (*Key, error) {
	s, err := connect(uri, o)
	if err != nil {
		return nil, err
	}
	if err := s.login(ctx); err != nil {
		return nil, err
	}
	key, err := s.open(ctx)
	if err != nil {
		s.revoke() // what went wrong before matters more
	}
	return key, err
}

func (s *session) open(ctx context.Context) (*Key, error) {
	d, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	version, public, err := s.choose(d)
	if err != nil {
		return nil, err
	}
	return &Key{session: s, version: version, public: public}, nil
}

// ID returns server, namespace, mount, name and version of the key, in the form
// of a URI.
func (k *Key) ID() string { return k.target.id(k.version) }

// Public returns the public key of the version.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Close revokes the token, if Open got it by a login; a token that was given
// stays. Only the first call does anything. An error means that the token goes
// on to its end; the signatures are as good as before.
func (k *Key) Close() (err error) {
	k.close.Do(func() {
		err = k.revoke()
		k.client.CloseIdleConnections()
	})
	return err
}
