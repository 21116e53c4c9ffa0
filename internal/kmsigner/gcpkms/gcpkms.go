// Package gcpkms signs with asymmetric keys of Google Cloud KMS, over its REST
// API (https://docs.cloud.google.com/kms/docs/reference/rest).
//
// A key is named as in cosign, and the version may be spelled either way:
//
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/N
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K
//
// Signing needs a version: there is no primary one for asymmetric keys. Without
// a version Open takes the enabled one with the highest number, says so with
// Options.Notice, and stays with it. The identity of a key is the resource name
// of its version.
//
// The version decides the algorithm. Keys see a digest, for ML-DSA the external
// μ; Ed25519, pure ML-DSA and keys of an external key manager see the message,
// which may have 64 KiB.
//
// Integrity is checked end to end, as Google's guidelines ask
// (https://docs.cloud.google.com/kms/docs/data-integrity-guidelines): each
// request carries a CRC32C that the service has to confirm, each answer one
// that is compared here, and a missing one is a fault. Answers name their key
// version, which has to be the one that was asked for.
//
// Credentials are a file that an environment variable names, as
// google-github-actions/auth sets them; the metadata server of Google Cloud is
// asked only after ?metadata=true. CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS
// leads to another endpoint, which RedirectedTo reports. HTTP redirects are not
// followed, and answers are bounded.
//
// Each Sign is one attempt; faults that may pass are marked as transient for
// signer.Guard. No fault holds a token or a part of a credentials file.
package gcpkms

import (
	"context"
	"crypto"
	"net/http"
	"os"

	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// Options says how Open and Examine work. The zero value is ready to use.
type Options struct {
	// LookupEnv returns an environment variable and whether it is set; nil
	// is os.LookupEnv.
	LookupEnv func(name string) (string, bool)

	// TranslatePath returns where the path of a credentials file is for this
	// process, which may be in a container; nil leaves paths as they are.
	TranslatePath func(path string) string

	// Notice is told, in one sentence, what a user may want to know, like
	// the version that was chosen. It may be nil.
	Notice func(text string)

	// Mask is given the secrets that come up, before they are used: access
	// tokens, and what is secret in a credentials file. It may be nil.
	Mask func(secrets ...string)

	// Retry governs how Open finds the version and reads the public key.
	// Sign does not retry.
	Retry retry.Policy

	// Transport carries all requests, those for tokens too; nil is
	// http.DefaultTransport, which honours HTTPS_PROXY.
	Transport http.RoundTripper
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.TranslatePath == nil {
		o.TranslatePath = func(path string) string { return path }
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.Mask == nil {
		o.Mask = func(...string) {}
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	return o
}

func (o Options) getenv(name string) string {
	value, _ := o.LookupEnv(name)
	return value
}

// Key is a version of a Cloud KMS key. It is a signer.Key and a
// signer.Redirected.
type Key struct {
	client     *client
	name       string // of the version
	spec       spec
	public     crypto.PublicKey
	protection string // the protection level, "HSM" for example
}

var _ interface {
	signer.Key
	signer.Redirected
} = (*Key)(nil)

// Open finds the key version that uri names and fetches its public key.
func Open(ctx context.Context, uri string, o Options) (*Key, error) {
	o = o.withDefaults()
	ref, err := parse(uri)
	if err != nil {
		return nil, err
	}
	c, err := newClient(ref, o)
	if err != nil {
		return nil, err
	}
	v, err := c.resolve(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, v, o.Retry)
}

// ID returns the resource name of the key version.
func (k *Key) ID() string { return k.name }

// Public returns the public key that Open fetched.
func (k *Key) Public() crypto.PublicKey { return k.public }

// RedirectedTo returns the endpoint that the environment puts in the place of
// Google's own, or "".
func (k *Key) RedirectedTo() string { return k.client.redirected }
