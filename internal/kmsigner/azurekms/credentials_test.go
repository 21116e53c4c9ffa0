package azurekms_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
)

const clientSecret = "fake-client-secret-that-must-not-show"

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withoutRunner is an environment without GitHub's OIDC service.
func withoutRunner(more map[string]string) map[string]string {
	all := map[string]string{"GITHUB_ACTIONS": "", "ACTIONS_ID_TOKEN_REQUEST_URL": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}
	for name, value := range more {
		all[name] = value
	}
	return all
}

func TestCredentials(t *testing.T) {
	cloud, _ := start(t)
	cloud.ClientSecret = clientSecret
	tokenFile := file(t, cloud.IDToken+"\n")
	for name, c := range map[string]struct {
		env     map[string]string
		outcome fault.Outcome
		code    string
		says    string
	}{
		"OIDC token of the workflow": {nil, fault.Passed, "", ""},
		"token file":                 {withoutRunner(map[string]string{"AZURE_FEDERATED_TOKEN_FILE": tokenFile}), fault.Passed, "", ""},
		"client secret":              {withoutRunner(map[string]string{"AZURE_CLIENT_SECRET": clientSecret}), fault.Passed, "", ""},
		"nothing":                    {withoutRunner(map[string]string{"AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": ""}), fault.Config, "azure_credentials_missing", "AZURE_TENANT_ID is not set, AZURE_CLIENT_ID is not set, there is no AZURE_CLIENT_SECRET"},
		"no IDs":                     {map[string]string{"AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": ""}, fault.Config, "azure_credentials_missing", "no Azure credentials: AZURE_TENANT_ID is not set, AZURE_CLIENT_ID is not set; set the IDs"},
		"no client ID":               {map[string]string{"AZURE_CLIENT_ID": " "}, fault.Config, "azure_credentials_missing", "no Azure credentials: AZURE_CLIENT_ID is not set;"},
		"no permission":              {map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, fault.Config, "azure_credentials_missing", "`permissions: id-token: write` is missing"},
		"a secret without IDs":       {map[string]string{"AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": clientSecret}, fault.Config, "azure_credentials_missing", "AZURE_CLIENT_ID"},
		"no tenant":                  {map[string]string{"AZURE_TENANT_ID": "a b"}, fault.Config, "azure_config_invalid", "AZURE_TENANT_ID"},
		"another tenant":             {map[string]string{"AZURE_TENANT_ID": "22222222-2222-4333-8444-555555555555"}, fault.Config, "azure_config_invalid", "belongs to the tenant 11111111-"},
		"tenant by its name":         {map[string]string{"AZURE_TENANT_ID": "acme.example"}, fault.Undecided, "azure_credentials", "no such tenant (AADSTS90002)"},
		"another application":        {map[string]string{"AZURE_CLIENT_ID": "other"}, fault.Undecided, "azure_credentials", "no such application (AADSTS700016, trace 33333333-"},
		"wrong secret":               {map[string]string{"AZURE_CLIENT_SECRET": "wrong-" + clientSecret}, fault.Undecided, "azure_credentials", "client secret is wrong (AADSTS7000215"},
		"wrong subject":              {withoutRunner(map[string]string{"AZURE_FEDERATED_TOKEN_FILE": file(t, azuretest.JWT(map[string]string{"sub": "repo:acme/fork:ref:refs/heads/x"}, "must-not-show"))}), fault.Undecided, "azure_credentials", "(subject repo:acme/fork:ref:refs/heads/x): no federated credential of the application has the subject of the token (AADSTS700213"},
		"no token file":              {map[string]string{"AZURE_FEDERATED_TOKEN_FILE": tokenFile + "x"}, fault.Undecided, "azure_credentials", "AZURE_FEDERATED_TOKEN_FILE cannot be used: no such file"},
		"empty token file":           {map[string]string{"AZURE_FEDERATED_TOKEN_FILE": file(t, "\n")}, fault.Undecided, "azure_credentials", "it is empty"},
		"runner refuses":             {map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "wrong"}, fault.Undecided, "azure_credentials", azuretest.OIDCHost + " answered with status 403"},
		"runner over HTTP":           {map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "http://run.example/?must-not-show=1"}, fault.Undecided, "azure_credentials", "is not an https URL"},
		"runner is no URL":           {map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "://must-not-show"}, fault.Undecided, "azure_credentials", "is not an https URL"},
		"managed identity":           {withoutRunner(map[string]string{"AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential", "IDENTITY_ENDPOINT": "http://127.0.0.1:1"}), fault.Config, "azure_credentials_missing", "AzureCLICredential"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", over(cloud, c.env))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
	checkHosts(t, cloud)
}

// A failure that may pass on the way to a token is repeated like any other.
func TestLoginIsRepeated(t *testing.T) {
	for name, part := range map[string]string{"runner": azuretest.OIDCHost, "discovery": "/v2.0/.well-known", "token": "/oauth2/v2.0/token"} {
		for _, status := range []int{429, 503} {
			cloud, _ := start(t)
			left := 2
			cloud.Spoil = func(w http.ResponseWriter, r *http.Request) bool {
				if left == 0 || !strings.Contains(r.Host+r.URL.Path, part) {
					return false
				}
				left--
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"error":"temporarily_unavailable"}`))
				return true
			}
			if _, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", over(cloud, nil)); err != nil || left != 0 {
				t.Errorf("%s, %d twice: %v", name, status, err)
			}
		}
	}
}

// Answers of the login that quote a token are not repeated in errors.
func TestLoginAnswersStayOut(t *testing.T) {
	cloud, _ := start(t)
	for name, body := range map[string]string{
		"no JSON":        "<html>" + cloud.AccessToken,
		"no expiry":      `{"access_token":"` + cloud.AccessToken + `"`,
		"an error":       `{"error":"x","error_description":"AADSTS1: ` + cloud.IDToken + `"}`,
		"a trace":        `{"error":"x","trace_id":"` + cloud.IDToken + `"}`,
		"nothing at all": ``,
	} {
		for _, status := range []int{200, 400} {
			cloud.Spoil = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
					return false
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return true
			}
			_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", over(cloud, nil))
			wantFault(t, err, fault.Undecided, "azure_credentials", "OIDC token of the workflow")
			for _, secret := range cloud.Secrets() {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s, %d: the error shows a secret", name, status)
				}
			}
		}
	}
}

func TestIDTokenSeam(t *testing.T) {
	cloud, _ := start(t)
	opts := over(cloud, withoutRunner(nil))
	var asked string
	opts.IDToken = func(_ context.Context, audience string) (string, error) {
		asked = audience
		return cloud.IDToken, nil
	}
	if _, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", opts); err != nil || asked != cloud.Audience {
		t.Errorf("asked for %q: %v", asked, err)
	}
	opts.IDToken = func(context.Context, string) (string, error) { return "", errors.New("must-not-show") }
	_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", opts)
	wantFault(t, err, fault.Undecided, "azure_credentials", "no OIDC token")
}

// In another cloud, login and audience are others; AZURE_AUTHORITY_HOST does
// not lead the login elsewhere.
func TestGovernment(t *testing.T) {
	cloud := azuretest.Start("acme.vault.usgovcloudapi.net", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov")
	defer cloud.Close()
	cloud.Vault.Rotate("release", azuretest.P256)
	notice := ""
	opts := over(cloud, map[string]string{"AZURE_AUTHORITY_HOST": "https://evil.example/"})
	opts.Notice = func(text string) { notice += text }
	t.Setenv("AZURE_AUTHORITY_HOST", "https://evil.example/")
	open(t, "azurekms://acme.vault.usgovcloudapi.net/release", opts)
	if !strings.Contains(notice, "login is at login.microsoftonline.us; AZURE_AUTHORITY_HOST does not apply") {
		t.Errorf("notice %q", notice)
	}
	checkHosts(t, cloud)
}

// The Azure CLI is used only when it is asked for. Its token may be any text.
func TestAzureCLI(t *testing.T) {
	cloud, _ := start(t)
	dir := t.TempDir()
	az := "#!/bin/sh\necho \"$@\" > " + dir + "/args\necho '{\"accessToken\":\"" + cloud.AccessToken + "\",\"expires_on\":4102444800}'\n"
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(az), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	env := withoutRunner(map[string]string{"AZURE_CLIENT_ID": "", "AZURE_TOKEN_CREDENTIALS": "azureclicredential"})
	open(t, "azurekms://"+host+"/release", over(cloud, env))
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	if got := string(args); !strings.Contains(got, "--resource https://vault.azure.net") || !strings.Contains(got, "--tenant "+cloud.Tenant) {
		t.Errorf("az %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte("#!/bin/sh\necho must-not-show >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", over(cloud, env))
	wantFault(t, err, fault.Undecided, "azure_credentials", "az login")
}
