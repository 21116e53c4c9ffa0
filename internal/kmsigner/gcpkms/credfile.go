package gcpkms

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/signgate/signgate/internal/fault"
)

const (
	maxFile    = 1 << 20
	ownDomain  = "googleapis.com"
	afterCheck = "run google-github-actions/auth after actions/checkout, in the same job, with permissions: id-token: write"
)

// kinds are the kinds of file that make tokens.
var kinds = []google.CredentialsType{
	google.ServiceAccount, google.AuthorizedUser, google.ExternalAccount,
	google.ExternalAccountAuthorizedUser, google.ImpersonatedServiceAccount,
}

// credentialsFile is what is read of a file beside what the library reads
// (https://google.aip.dev/auth/4110).
type credentialsFile struct {
	Type         google.CredentialsType `json:"type"`
	ClientEmail  string                 `json:"client_email"`
	Audience     string                 `json:"audience"`
	Impersonates string                 `json:"service_account_impersonation_url"`
	QuotaProject string                 `json:"quota_project_id"`
	Universe     string                 `json:"universe_domain"`
	PrivateKey   string                 `json:"private_key"`
	ClientSecret string                 `json:"client_secret"`
	RefreshToken string                 `json:"refresh_token"`
	Source       struct {
		Headers map[string]string `json:"headers"` // with the token that GitHub's tokens are asked for with
	} `json:"credential_source"`
}

// fromFile reads the file at path, which the variable name holds. No fault
// repeats the path: people put the text of a file there.
func fromFile(name, path string, o Options) (*credentials, error) {
	if strings.HasPrefix(strings.TrimSpace(path), "{") {
		return nil, fileInvalid(name, "holds the text of a credentials file and not its path")
	}
	data, err := readFile(o.TranslatePath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Configf("google_credentials_missing", afterCheck, "the Google Cloud credentials file that %s names is not there", name)
	}
	if err != nil {
		return nil, fileInvalid(name, "names a file that cannot be read")
	}
	var file credentialsFile
	if json.Unmarshal(data, &file) != nil {
		return nil, fileInvalid(name, "names a file that is not a JSON object")
	}
	return file.open(name, data, o)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fs.ErrInvalid
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func (file credentialsFile) open(name string, data []byte, o Options) (*credentials, error) {
	if !slices.Contains(kinds, file.Type) {
		return nil, fileInvalid(name, "names a file of a type that signgate does not know")
	}
	if file.Universe != "" && file.Universe != ownDomain && o.getenv(override) == "" {
		return nil, fileInvalid(name, "names credentials of another Google Cloud than googleapis.com, and "+override+" is not set")
	}
	c := &credentials{from: name, kind: string(file.Type), identity: clean(file.identity()), quotaProject: file.QuotaProject, mask: o.Mask}
	c.hide(file.PrivateKey, file.ClientSecret, file.RefreshToken)
	for name, value := range file.Source.Headers {
		if strings.EqualFold(name, "Authorization") { // others, such as Metadata: True, are no secrets
			c.hide(strings.TrimPrefix(value, "Bearer "))
		}
	}
	// The library keeps this context for later tokens, so it has no deadline;
	// the client has one.
	requests := &tokenClient{RoundTripper: o.Transport}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, requests.client())
	found, err := google.CredentialsFromJSONWithType(ctx, data, file.Type, scope)
	if err != nil {
		return nil, fileInvalid(name, "names a file that is not complete")
	}
	c.source = oauth2.ReuseTokenSource(nil, watched{found.TokenSource, requests})
	return c, nil
}

func fileInvalid(name, what string) error {
	return fault.Configf("google_credentials_invalid", afterCheck, "%s %s", name, what)
}

var impersonated = regexp.MustCompile(`/serviceAccounts/([^/:]+):generateAccessToken$`)

// identity returns who the file's tokens are for, as far as it says.
func (file credentialsFile) identity() string {
	if m := impersonated.FindStringSubmatch(file.Impersonates); m != nil {
		return m[1]
	}
	if file.ClientEmail != "" {
		return file.ClientEmail
	}
	return strings.TrimPrefix(file.Audience, "//iam.googleapis.com/")
}
