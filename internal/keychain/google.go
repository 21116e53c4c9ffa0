package keychain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

const googleScope = "https://www.googleapis.com/auth/cloud-platform"

// googleFiles are the variables that google-github-actions/auth sets.
var googleFiles = []string{"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_GHA_CREDS_PATH"}

// googleSource uses the Google credentials of the environment for gcr.io and
// Artifact Registry. The file is read here and not found by the library, which
// would go on to the metadata server and to gcloud.
func googleSource(o Options, w *web) source {
	return func(_ context.Context, t target) (credential, bool, error) {
		i := slices.IndexFunc(googleFiles, func(name string) bool { return o.Getenv(name) != "" })
		if i < 0 || !isGoogle(t.host) {
			return credential{}, false, nil
		}
		auth, err := googleAuth(o.Getenv(googleFiles[i]), w.client)
		if err != nil {
			return credential{}, false, fault.Undecidedf("google_credentials",
				"run google-github-actions/auth after checkout, or give the credentials for "+t.host+" with registry-auth",
				"no Google token for %s with the file that %s names: %w", t.host, googleFiles[i], err)
		}
		return credential{auth, "Google credentials of " + googleFiles[i]}, true, nil
	}
}

func isGoogle(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, ".pkg.dev")
}

// googleKinds are the kinds of file that make tokens without local magic.
var googleKinds = []google.CredentialsType{
	google.ServiceAccount, google.AuthorizedUser, google.ExternalAccount,
	google.ExternalAccountAuthorizedUser, google.ImpersonatedServiceAccount,
}

// googleAuth reads a credentials file and gets a first token with it.
func googleAuth(path string, client *http.Client) (authn.Authenticator, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, bareFile(err)
	}
	var file struct{ Type google.CredentialsType }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if !slices.Contains(googleKinds, file.Type) {
		return nil, fmt.Errorf("it is of type %q", file.Type)
	}
	// The library keeps this context for later tokens, so it has no deadline;
	// the client has one.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	c, err := google.CredentialsFromJSONWithType(ctx, data, file.Type, googleScope)
	if err != nil {
		return nil, fmt.Errorf("it is not a complete file of type %s", file.Type)
	}
	auth := tokenAuth{oauth2.ReuseTokenSource(nil, c.TokenSource)}
	_, err = auth.Authorization()
	return auth, err
}

// tokenAuth sends the current token of a source, which renews it.
type tokenAuth struct{ source oauth2.TokenSource }

// Authorization implements authn.Authenticator.
func (a tokenAuth) Authorization() (*authn.AuthConfig, error) {
	token, err := a.source.Token()
	if err != nil {
		return nil, oauthCause(err)
	}
	return &authn.AuthConfig{Username: "oauth2accesstoken", Password: token.AccessToken}, nil
}

// oauthCause keeps what is safe to print: a status and the network's error, not
// the body or the URL.
func oauthCause(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return fmt.Errorf("the token host answered with status %d", e.Response.StatusCode)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("the token host did not answer: %w", e.Err)
	}
	return errors.New("the token host did not give one")
}
