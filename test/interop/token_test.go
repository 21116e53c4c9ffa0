package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// accounts are the users of the registry with bearer tokens.
var accounts = map[string]struct {
	password string
	actions  []string
}{
	"release": {"correct horse", []string{"pull", "push"}},
	"deploy":  {"battery staple", []string{"pull"}},
}

// tokenServer issues the tokens that the CNCF distribution asks for.
type tokenServer struct {
	key *ecdsa.PrivateKey
}

const (
	tokenIssuer  = "signgate interop"
	tokenService = "registry"
	tokenKeyID   = "interop"
)

// startBearer starts the CNCF distribution with bearer tokens, and the server
// that issues them, and logs in as release.
func startBearer(t *testing.T) registry {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens := &tokenServer{private}
	server := httptest.NewServer(tokens)
	t.Cleanup(server.Close)
	// By name: go-containerregistry sends no credentials to the address of a
	// private network, unless it is the registry's own.
	realm := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/token"
	host := startDistribution(t, fmt.Sprintf("auth: {token: {realm: '%s', service: '%s', issuer: '%s', jwks: '%s'}}",
		realm, tokenService, tokenIssuer, write(t, "jwks.json", tokens.keySet(t))))
	return registry{host: host}.as(t, "release", accounts["release"].password)
}

// keySet returns the public key as a JSON Web Key Set.
func (s *tokenServer) keySet(t *testing.T) string {
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": %q, "x": %q, "y": %q}]}`,
		tokenKeyID, encode(point[1:33]), encode(point[33:]))
}

// ServeHTTP grants what of the asked scopes the user has.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	user, password, _ := req.BasicAuth()
	account, ok := accounts[user]
	if !ok || account.password != password {
		http.Error(w, `{"errors": [{"code": "UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	granted := []access{}
	for scope := range strings.FieldsSeq(strings.Join(req.URL.Query()["scope"], " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		name, actions, _ := strings.Cut(rest, ":")
		asked := strings.Split(actions, ",")
		granted = append(granted, access{kind, name, slices.DeleteFunc(asked, func(a string) bool { return !slices.Contains(account.actions, a) })})
	}
	token, err := s.token(map[string]any{"sub": user, "access": granted})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token": %q, "expires_in": 300}`, token)
}

// token signs a JSON Web Token with ES256.
func (s *tokenServer) token(claims map[string]any) (string, error) {
	now := time.Now().Unix()
	claims["iss"], claims["aud"] = tokenIssuer, tokenService
	claims["iat"], claims["nbf"], claims["exp"] = now, now, now+300
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := encode([]byte(`{"typ":"JWT","alg":"ES256","kid":"`+tokenKeyID+`"}`)) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 2*crypto.SHA256.Size())
	r.FillBytes(sig[:32])
	v.FillBytes(sig[32:])
	return text + "." + encode(sig), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
