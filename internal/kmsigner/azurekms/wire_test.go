package azurekms_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
	"github.com/signgate/signgate/internal/signer"
)

// start runs a cloud behind TLS with one key.
func start(t *testing.T) (*azuretest.Cloud, string) {
	t.Helper()
	cloud := azuretest.Start(host, "login.microsoftonline.com", "api://AzureADTokenExchange")
	t.Cleanup(cloud.Close)
	return cloud, cloud.Vault.Rotate("release", azuretest.P256)
}

// over reaches a cloud over TLS with the environment of a job and changes to it.
func over(cloud *azuretest.Cloud, changes map[string]string) azurekms.Options {
	env := cloud.Env()
	for name, value := range changes {
		env[name] = value
	}
	return azurekms.Options{Transport: cloud.Client(), Retry: quick, LookupEnv: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
}

// TestWire is a run as it looks on the wire: a challenge, the login with the
// OIDC token of the workflow, the key, a signature.
func TestWire(t *testing.T) {
	cloud, kid := start(t)
	var masked []string
	opts := over(cloud, nil)
	opts.Mask = func(secrets ...string) { masked = append(masked, secrets...) }
	guarded := guard(t, open(t, "azurekms://"+host+"/release", opts))
	sig, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	if err != nil || sig.KeyID != kid {
		t.Fatalf("%+v, %v", sig, err)
	}
	version := kid[len(kid)-32:]
	var got []string
	for _, r := range cloud.Requests() {
		got = append(got, r.Method+" "+r.Host+r.Path)
		if strings.Contains(r.UserAgent, "azsdk") {
			t.Errorf("telemetry: %s", r.UserAgent)
		}
	}
	want := []string{
		"GET " + host + "/keys/release/?api-version=2025-07-01",
		"GET login.microsoftonline.com/" + cloud.Tenant + "/v2.0/.well-known/openid-configuration?",
		"GET " + azuretest.OIDCHost + "/token?audience=api%3A%2F%2FAzureADTokenExchange&run=1",
		"POST login.microsoftonline.com/" + cloud.Tenant + "/oauth2/v2.0/token",
		"GET " + host + "/keys/release/?api-version=2025-07-01",
		"POST " + host + "/keys/release/" + version + "/sign?api-version=2025-07-01",
	}
	if !slices.Equal(got, want) {
		t.Errorf("requests:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Contains(masked, cloud.IDToken) || !slices.Contains(masked, cloud.AccessToken) {
		t.Errorf("%d secrets were masked, but not both tokens", len(masked))
	}
	last := cloud.Requests()[5]
	wantBody(t, last.Body)
	if sig.RequestID == "" || sig.RequestID != last.ClientRequestID {
		t.Errorf("RequestID %q, want %q", sig.RequestID, last.ClientRequestID)
	}
}

// wantBody checks the body of a sign request: the digest in unpadded base64url
// and the algorithm, nothing else (Sign, Key Vault REST API).
func wantBody(t *testing.T, body string) {
	t.Helper()
	digest := base64.RawURLEncoding.EncodeToString(signer.ECDSASHA256.Digest([]byte("message")))
	var is map[string]string
	if err := json.Unmarshal([]byte(body), &is); err != nil || len(is) != 2 || is["alg"] != "ES256" || is["value"] != digest {
		t.Errorf("the body is %s", body)
	}
}

// TestTokensStayAtHome: each token goes to the host that it is for and to no
// other, whatever the answers say.
func TestTokensStayAtHome(t *testing.T) {
	redirect := func(w http.ResponseWriter, r *http.Request, on string) bool {
		if r.Host != on || r.Header.Get("Authorization") == "" && on == host {
			return false
		}
		http.Redirect(w, r, "https://evil.example/x", http.StatusTemporaryRedirect)
		return true
	}
	challenge := func(w http.ResponseWriter, r *http.Request, text string) bool {
		if r.Host != host {
			return false
		}
		w.Header().Set("WWW-Authenticate", text)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	const other = "https://evil.example/99999999-2222-4333-8444-555555555555"
	for name, c := range map[string]struct {
		spoil func(http.ResponseWriter, *http.Request) bool
		code  string
	}{
		"the vault redirects":  {func(w http.ResponseWriter, r *http.Request) bool { return redirect(w, r, host) }, "kms_unavailable"},
		"the login redirects":  {func(w http.ResponseWriter, r *http.Request) bool { return redirect(w, r, "login.microsoftonline.com") }, "azure_credentials"},
		"the runner redirects": {func(w http.ResponseWriter, r *http.Request) bool { return redirect(w, r, azuretest.OIDCHost) }, "azure_credentials"},
		"another resource": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorization="https://login.windows.net/t", resource="https://management.azure.com"`)
		}, "kms_unexpected"},
		"another tenant": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorization="`+other+`", resource="https://vault.azure.net"`)
		}, "azure_config_invalid"},
		"an authority of no form": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorization="evil", resource="https://vault.azure.net"`)
		}, "kms_unexpected"},
		"a short authority": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorization="https://evil.example", resource="https://vault.azure.net"`)
		}, "kms_unexpected"},
		"an authority that only the SDK sees": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorBearer ization=x resource=https://vault.azure.net`)
		}, "kms_unexpected"},
		"no resource": {func(w http.ResponseWriter, r *http.Request) bool {
			return challenge(w, r, `Bearer authorization="https://a/b"`)
		}, "kms_unexpected"},
		"no challenge": {func(w http.ResponseWriter, r *http.Request) bool {
			return r.Host == host && refuse(w, `{"error":{"code":"Unauthorized"}}`)
		}, "azure_credentials_rejected"},
		"a token endpoint elsewhere": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "openid-configuration") {
				return false
			}
			_, _ = w.Write([]byte(`{"issuer":"https://login.microsoftonline.com/t/v2.0","authorization_endpoint":"https://evil.example/a","token_endpoint":"https://evil.example/token"}`))
			return true
		}, "azure_credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, _ := start(t)
			cloud.Spoil = c.spoil
			_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", over(cloud, nil))
			if fault.CodeOf(err) != c.code {
				t.Errorf("%v (%s), want %s", err, fault.CodeOf(err), c.code)
			}
			checkHosts(t, cloud)
		})
	}
}

func refuse(w http.ResponseWriter, body string) bool {
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(body))
	return true
}

func checkHosts(t *testing.T, cloud *azuretest.Cloud) {
	t.Helper()
	for _, r := range cloud.Requests() {
		home := map[string]string{cloud.AccessToken: cloud.Vault.Host, cloud.IDToken: cloud.Login, cloud.RequestToken: azuretest.OIDCHost}
		for token, to := range home {
			if (strings.Contains(r.Authorization, token) || strings.Contains(r.Body, token)) && r.Host != to {
				t.Errorf("a token for %s went to %s", to, r.Host)
			}
		}
		if r.Host == "evil.example" {
			t.Errorf("%s %s%s was sent", r.Method, r.Host, r.Path)
		}
	}
}

// TestWireFaults: what breaks below HTTP's answers.
func TestWireFaults(t *testing.T) {
	cloud, _ := start(t)
	guarded := guard(t, open(t, "azurekms://"+host+"/release", over(cloud, nil)))
	cloud.Vault.Inject("sign", azuretest.Truncate())
	if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil {
		t.Errorf("one truncated answer: %v", err)
	}
	cloud.Vault.Inject("sign", azuretest.Fail(429, "Throttled", "", "", "Retry-After", "1"))
	if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil {
		t.Errorf("throttled once: %v", err)
	}
	cloud.AccessToken += "x" // the vault takes another token now, which Entra ID gives only later
	_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "azure_credentials_rejected", "AZURE_TENANT_ID")
	cloud.Close()
	_, err = guarded.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "kms_unavailable", "connection refused")
}

func TestCertificate(t *testing.T) {
	cloud, _ := start(t)
	opts := over(cloud, nil)
	client := cloud.Client()
	client.Transport.(*http.Transport).TLSClientConfig = nil
	opts.Transport = client
	_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", opts)
	wantFault(t, err, fault.Undecided, "kms_tls", host)
}
