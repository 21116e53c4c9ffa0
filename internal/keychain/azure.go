package keychain

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
)

const (
	azureAuthority = "https://login.microsoftonline.com/"
	azureScope     = "https://containerregistry.azure.net/.default"
	azureAudience  = "api://AzureADTokenExchange"
	azureAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// azureUser is the user name that ACR wants with a token as password.
	azureUser = "00000000-0000-0000-0000-000000000000"
)

// azure is an application of Entra ID as the environment describes it.
// azure/login leaves nothing that a container can see, so in Actions this is
// AZURE_TENANT_ID, AZURE_CLIENT_ID and the workflow's own OIDC token.
type azure struct {
	getenv func(string) string
	web    *web
}

// azureSource logs in to ACR in two steps: a token of Entra ID for the
// application, then the registry's own token for that one.
func azureSource(o Options, w *web) source {
	a := azure{o.Getenv, w}
	return func(ctx context.Context, t target) (credential, bool, error) {
		proof := a.proof()
		if !strings.HasSuffix(t.host, ".azurecr.io") || proof == "" {
			return credential{}, false, nil
		}
		token, err := a.login(ctx, proof, t.host)
		if err != nil {
			e := fault.Undecidedf("azure_credentials",
				"check AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated credential, or give the credentials for "+t.host+" with registry-auth",
				"no Azure token for %s with %s: %w", t.host, proof, err)
			e.Transient = transient(err)
			return credential{}, false, e
		}
		return credential{&authn.Basic{Username: azureUser, Password: token}, "Azure with " + proof}, true, nil
	}
}

// proof names the variable by which the application can prove itself, "" when
// the environment does not describe one.
func (a azure) proof() string {
	if a.getenv("AZURE_TENANT_ID") == "" || a.getenv("AZURE_CLIENT_ID") == "" {
		return ""
	}
	for _, name := range []string{"AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "ACTIONS_ID_TOKEN_REQUEST_URL"} {
		if a.getenv(name) != "" {
			return name
		}
	}
	return ""
}

func (a azure) login(ctx context.Context, proof, host string) (string, error) {
	tenant := a.getenv("AZURE_TENANT_ID")
	form, err := a.application(ctx, proof)
	if err != nil {
		return "", err
	}
	authority, err := a.authority()
	if err != nil {
		return "", err
	}
	access, err := a.post(ctx, authority+url.PathEscape(tenant)+"/oauth2/v2.0/token", form)
	if err != nil {
		return "", err
	}
	return a.post(ctx, "https://"+host+"/oauth2/exchange", url.Values{
		"grant_type": {"access_token"}, "service": {host}, "tenant": {tenant}, "access_token": {access},
	})
}

func (a azure) authority() (string, error) {
	authority := firstOf(a.getenv("AZURE_AUTHORITY_HOST"), azureAuthority)
	if !strings.HasPrefix(authority, "https://") {
		return "", errors.New("AZURE_AUTHORITY_HOST is not an https URL")
	}
	return strings.TrimSuffix(authority, "/") + "/", nil
}

// application returns the login form of the application.
func (a azure) application(ctx context.Context, proof string) (url.Values, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.getenv("AZURE_CLIENT_ID")}, "scope": {azureScope}}
	if proof == "AZURE_CLIENT_SECRET" {
		form.Set("client_secret", a.getenv(proof))
		return form, nil
	}
	assertion, err := a.assertion(ctx, proof)
	form.Set("client_assertion_type", azureAssertion)
	form.Set("client_assertion", assertion)
	return form, err
}

// assertion is the federated token, from a file or from the runner.
func (a azure) assertion(ctx context.Context, proof string) (string, error) {
	if proof == "AZURE_FEDERATED_TOKEN_FILE" {
		data, err := os.ReadFile(a.getenv(proof))
		return strings.TrimSpace(string(data)), bareFile(err)
	}
	var answer struct{ Value string }
	err := a.web.fetch(ctx, func() (*http.Request, error) {
		u, err := url.Parse(a.getenv(proof))
		if err != nil {
			return nil, errors.New(proof + " is not a URL")
		}
		query := u.Query()
		query.Set("audience", azureAudience)
		u.RawQuery = query.Encode()
		req, err := http.NewRequest(http.MethodGet, u.String(), nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+a.getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
		}
		return req, err
	}, &answer)
	if err == nil && answer.Value == "" {
		err = errors.New("the runner gave no OIDC token")
	}
	return answer.Value, err
}

// post sends a form and returns the token of the answer.
func (a azure) post(ctx context.Context, to string, form url.Values) (string, error) {
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	err := a.web.fetch(ctx, func() (*http.Request, error) {
		req, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}, &answer)
	token := firstOf(answer.Access, answer.Refresh)
	if err == nil && token == "" {
		err = errors.New("the answer holds no token")
	}
	return token, err
}
