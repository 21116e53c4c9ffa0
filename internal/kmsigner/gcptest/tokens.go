package gcptest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Kind is a way to credentials.
type Kind string

// The kinds of files that Credentials makes.
const (
	Federated    Kind = "federated"    // google-github-actions/auth, direct workload identity federation
	Impersonated Kind = "impersonated" // the same, by way of a service account
	Login        Kind = "login"        // gcloud auth application-default login
)

// The secrets of the token hosts. They must not show in anything that a client
// prints.
const (
	OIDCRequestToken = "0idcR3questT0kenThatMustNotShow"
	OIDCToken        = "0idcS3cretT0kenThatMustNotShow"
	RefreshToken     = "r3freshS3cretThatMustNotShow"
	ClientSecret     = "cl13ntS3cretThatMustNotShow"
	federatedToken   = "f3deratedT0kenThatMustNotShow"

	// Account is the service account of Impersonated.
	Account = "release@acme-prod.iam.gserviceaccount.com"

	audience = "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/github/providers/acme"
)

// Credentials returns a credentials file (https://google.aip.dev/auth/4110)
// whose token hosts are this server.
func (s *Server) Credentials(kind Kind) []byte {
	file := map[string]any{
		"type": "external_account", "audience": audience, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url": s.URL + "/sts/v1/token",
		"credential_source": map[string]any{
			"url": s.URL + "/oidc", "headers": map[string]string{"Authorization": "Bearer " + OIDCRequestToken},
			"format": map[string]string{"type": "json", "subject_token_field_name": "value"},
		},
	}
	switch kind {
	case Impersonated:
		file["service_account_impersonation_url"] = s.URL + "/v1/projects/-/serviceAccounts/" + Account + ":generateAccessToken"
	case Login:
		file = map[string]any{"type": "authorized_user", "client_id": "client", "client_secret": ClientSecret, "refresh_token": RefreshToken, "token_uri": s.URL + "/token"}
	}
	text, err := json.Marshal(file)
	if err != nil {
		panic(err) // maps of strings
	}
	return text
}

// serveTokens answers the token hosts, and reports whether the request was for
// one. Their faults are injected as "token".
func (s *Server) serveTokens(w http.ResponseWriter, r *http.Request, body []byte) bool {
	form, _ := url.ParseQuery(string(body))
	var ok bool
	var out answer
	switch r.URL.Path {
	case "/oidc":
		ok = r.Method == http.MethodGet && r.Header.Get("Authorization") == "Bearer "+OIDCRequestToken
		out = answer{"value": OIDCToken}
	case "/sts/v1/token":
		ok = form.Get("subject_token") == OIDCToken && form.Get("audience") == audience && form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
		out = answer{"access_token": s.exchanged(form.Get("scope")), "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600}
	case "/v1/projects/-/serviceAccounts/" + Account + ":generateAccessToken":
		ok = r.Header.Get("Authorization") == "Bearer "+federatedToken
		out = answer{"accessToken": s.opts.Token, "expireTime": time.Now().Add(time.Hour).Format(time.RFC3339)}
	case "/token":
		ok = form.Get("refresh_token") == RefreshToken && form.Get("client_secret") == ClientSecret && form.Get("grant_type") == "refresh_token"
		out = answer{"access_token": s.opts.Token, "token_type": "Bearer", "expires_in": 3600}
	default:
		return false
	}
	s.answerToken(w, r, ok, out, body)
	return true
}

// exchanged returns the token for Cloud KMS, or the one that can only be used
// to act as the service account: the library asks for another scope then.
func (s *Server) exchanged(scope string) string {
	if scope == "https://www.googleapis.com/auth/cloudkms" {
		return s.opts.Token
	}
	return federatedToken
}

// answerToken quotes the request in its refusals, as token hosts may.
func (s *Server) answerToken(w http.ResponseWriter, r *http.Request, ok bool, out answer, body []byte) {
	fault := s.nextFault("token")
	s.record(Request{Operation: "token", Resource: r.URL.Path})
	switch {
	case fault.hang:
		<-r.Context().Done()
	case fault.failure != nil || fault.bare != 0 || !ok:
		status := fault.bare
		if fault.failure != nil {
			status, _ = fault.failure.answer()
		}
		if status == 0 {
			status = http.StatusBadRequest
		}
		write(w, status, answer{"error": "invalid_grant", "error_description": string(body) + r.Header.Get("Authorization")}, fault)
	default:
		write(w, http.StatusOK, out, fault)
	}
}
