package gcpkms

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/signgate/signgate/internal/fault"
)

// scope is the narrowest that the methods of Cloud KMS take.
const scope = "https://www.googleapis.com/auth/cloudkms"

// credentialFiles are the variables that google-github-actions/auth sets, in
// the order in which they are looked at.
var credentialFiles = []string{"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_GHA_CREDS_PATH"}

// credentials makes access tokens. It is safe for concurrent use.
type credentials struct {
	source       oauth2.TokenSource
	from         string // the variable, or "the metadata server"
	kind         string // "external_account" for example
	identity     string // an email address or a provider, as far as the file tells
	quotaProject string
	mask         func(...string)

	mu      sync.Mutex // guards secrets
	secrets []string   // what must not show in any text
}

// String returns whose credentials these are and where they come from.
func (c *credentials) String() string {
	if c.identity == "" {
		return "the credentials of " + c.from
	}
	return c.identity + " (the credentials of " + c.from + ")"
}

// findCredentials opens the first file that a variable names. The file is found
// here and not by the library, which would go on to gcloud and the metadata
// server.
func findCredentials(ref reference, o Options) (*credentials, error) {
	for _, name := range credentialFiles {
		if path := o.getenv(name); path != "" {
			return fromFile(name, path, o)
		}
	}
	if ref.metadata {
		c := &credentials{source: google.ComputeTokenSource("", scope), from: "the metadata server", kind: "metadata", mask: o.Mask}
		return c, nil
	}
	return nil, fault.Configf("google_credentials_missing", "add both, or set ?metadata=true on the key to use the service account of the Google Cloud machine",
		"no Google Cloud credentials: `permissions: id-token: write` missing, or no google-github-actions/auth step ran after actions/checkout")
}

// token returns the current access token. The library renews it with a context
// of its own, so the wait ends here when ctx does.
func (c *credentials) token(ctx context.Context) (string, error) {
	type result struct {
		token *oauth2.Token
		err   error
	}
	done := make(chan result, 1)
	go func() {
		token, err := c.source.Token()
		done <- result{token, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-done:
		if r.err != nil {
			return "", c.explain(r.err)
		}
		c.hide(r.token.AccessToken)
		return r.token.AccessToken, nil
	}
}

// shortest is the length from which on a secret is looked for in answers.
const shortest = 8

// hide keeps secrets out of the log and out of every answer.
func (c *credentials) hide(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		if s != "" && !slices.Contains(c.secrets, s) {
			c.mask(s)
			c.secrets = append(c.secrets, s)
		}
	}
}

// redact takes the secrets out of an answer, of which texts may be repeated.
func (c *credentials) redact(text []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.secrets {
		if len(s) >= shortest {
			text = bytes.ReplaceAll(text, []byte(s), []byte("REDACTED"))
		}
	}
	return text
}

// explain reports that no token could be had.
func (c *credentials) explain(err error) error {
	said, transient := "the source gave none", false
	if e, ok := errors.AsType[*tokenError](err); ok {
		said, transient = e.Error(), e.transient()
	}
	f := fault.Undecidedf("google_credentials_failed", "check the workload identity provider, its attribute condition and who may act as the service account",
		"no Google Cloud access token for %s: %s", c, said)
	f.Transient = transient
	return f
}
