package azuretest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Cloud is a vault, Entra ID and GitHub's OIDC service behind one TLS listener,
// told apart by their host names. Requests are recorded.
type Cloud struct {
	Vault        *Vault
	Login        string // host of Entra ID
	Tenant       string
	Application  string
	ClientSecret string // "" for none
	Subject      string // of the federated token
	Audience     string // of the federated token
	RequestToken string // that the runner gives a job for its OIDC service
	IDToken      string // what the OIDC service returns
	AccessToken  string // what Entra ID returns

	// Spoil answers in place of the cloud, unless it returns false.
	Spoil func(http.ResponseWriter, *http.Request) bool

	server *httptest.Server

	mu       sync.Mutex
	requests []Request // owned by mu
}

// Request is what came in.
type Request struct{ Host, Method, Path, Authorization, UserAgent, ClientRequestID, Body string }

// OIDCHost is the host of GitHub's OIDC service.
const OIDCHost = "run.actions.githubusercontent.com"

// JWT returns an unsigned token with claims.
func JWT(claims map[string]string, signature string) string {
	data, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + enc.EncodeToString(data) + "." + enc.EncodeToString([]byte(signature))
}

// Start starts a cloud with an empty vault.
func Start(vaultHost, loginHost, audience string) *Cloud {
	c := &Cloud{
		Vault: New(vaultHost), Login: loginHost, Audience: audience,
		Tenant: "11111111-2222-4333-8444-555555555555", Application: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
		Subject: "repo:acme/app:environment:release", RequestToken: "runner-request-token-that-must-not-show",
	}
	c.IDToken = JWT(map[string]string{"sub": c.Subject, "aud": audience}, "id-token-that-must-not-show")
	c.AccessToken = JWT(map[string]string{"oid": "99999999-8888-4777-8666-555555555555"}, "access-token-that-must-not-show")
	c.server = httptest.NewTLSServer(c)
	return c
}

// Close stops the cloud.
func (c *Cloud) Close() { c.server.Close() }

// Secrets returns what must not show anywhere.
func (c *Cloud) Secrets() []string {
	return []string{c.IDToken, c.AccessToken, c.RequestToken, "fake-client-secret-that-must-not-show"}
}

// Env returns the environment of a job that may ask for an OIDC token.
func (c *Cloud) Env() map[string]string {
	return map[string]string{
		"AZURE_TENANT_ID": c.Tenant, "AZURE_CLIENT_ID": c.Application, "GITHUB_ACTIONS": "true",
		"ACTIONS_ID_TOKEN_REQUEST_URL":   "https://" + OIDCHost + "/token?run=1",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": c.RequestToken,
	}
}

// Client returns a client for which every host is this cloud. It follows no
// redirects.
func (c *Cloud) Client() *http.Client {
	trusted := c.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", c.server.Listener.Addr().String())
			},
			TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}, // of httptest's certificate
		},
	}
}

// Requests returns what came in so far.
func (c *Cloud) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Request(nil), c.requests...)
}

// ServeHTTP answers for all hosts.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	c.mu.Lock()
	c.requests = append(c.requests, Request{r.Host, r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), r.UserAgent(), r.Header.Get("x-ms-client-request-id"), string(body)})
	c.mu.Unlock()
	if c.Spoil != nil && c.Spoil(w, r) {
		return
	}
	switch r.Host {
	case c.Vault.Host:
		c.serveVault(w, r)
	case c.Login:
		c.serveLogin(w, r)
	case OIDCHost:
		c.serveOIDC(w, r)
	default:
		http.Error(w, "no such host", http.StatusMisdirectedRequest)
	}
}

// resource is what a token for the vault is for: its host without its name.
func (c *Cloud) resource() string {
	_, suffix, _ := strings.Cut(c.Vault.Host, ".")
	return "https://" + suffix
}

func (c *Cloud) serveVault(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+c.AccessToken {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://%s/%s", resource=%q`, c.Login, c.Tenant, c.resource()))
		write(w, problem(http.StatusUnauthorized, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."))
		return
	}
	r.URL.Scheme, r.URL.Host = "https", r.Host
	resp, err := c.Vault.Do(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	write(w, resp)
}

func write(w http.ResponseWriter, resp *http.Response) {
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // a truncated answer
	}
}

// serveLogin is the part of Entra ID that a confidential client uses: OpenID
// Connect Discovery and the client credentials grant (RFC 6749 section 4.4,
// RFC 7523 section 2.2).
func (c *Cloud) serveLogin(w http.ResponseWriter, r *http.Request) {
	base := "https://" + c.Login + "/" + c.Tenant
	switch r.URL.Path {
	case "/" + c.Tenant + "/v2.0/.well-known/openid-configuration":
		writeJSON(w, http.StatusOK, map[string]string{"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token"})
	case "/" + c.Tenant + "/oauth2/v2.0/token":
		if number, text := c.check(r); number != 0 {
			writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_codes": []int{number},
				"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: 1", number, text), "trace_id": "33333333-2222-4333-8444-555555555555"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": c.AccessToken})
	default:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found.", "trace_id": ""})
	}
}

func (c *Cloud) check(r *http.Request) (int, string) {
	_ = r.ParseForm()
	get := r.PostForm.Get
	switch assertion := get("client_assertion"); {
	case get("grant_type") != "client_credentials" || !strings.Contains(get("scope"), c.resource()+"/.default"):
		return 900144, "The request body must contain the following parameter."
	case get("client_id") != c.Application:
		return 700016, "Application was not found in the directory."
	case c.ClientSecret != "" && get("client_secret") == c.ClientSecret:
		return 0, ""
	case assertion == "":
		return 7000215, "Invalid client secret provided: " + get("client_secret")
	case assertion != c.IDToken || get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		return 700213, "No matching federated identity record found for presented assertion " + assertion
	}
	return 0, ""
}

func (c *Cloud) serveOIDC(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+c.RequestToken || r.URL.Query().Get("audience") != c.Audience {
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "no"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"value": c.IDToken})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
