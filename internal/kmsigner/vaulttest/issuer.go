package vaulttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Issuer is GitHub's token service as a runner offers it: GET
// $ACTIONS_ID_TOKEN_REQUEST_URL&audience=… with a bearer token answers
// {"value": "<JWT>"}.
type Issuer struct {
	URL     string // the iss of its tokens
	Request string // the bearer token it wants
	server  *http.Server
	key     *rsa.PrivateKey

	mu     sync.Mutex
	Claims map[string]any // of its tokens, beside iss, aud, iat, nbf and exp; owned by mu, set before use
	issued []string
	status int // answered in place of tokens
}

// NewIssuer starts an issuer whose tokens are of the job of a repository in an
// environment. Close stops it.
func NewIssuer(repository, environment string) (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	i := &Issuer{key: key, Request: "runner-request-token", Claims: map[string]any{
		"sub": "repo:" + repository + ":environment:" + environment, "repository": repository, "environment": environment}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.URL, i.server = "http://"+l.Addr().String(), &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second}
	go i.server.Serve(l) // ends with ErrServerClosed
	return i, nil
}

// Close stops the issuer.
func (i *Issuer) Close() error { return i.server.Close() }

// Env returns the environment variables that a job with id-token: write has.
func (i *Issuer) Env() map[string]string {
	return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": i.URL + "/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": i.Request}
}

// Issued returns the tokens so far.
func (i *Issuer) Issued() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.issued)
}

// FailWith makes the issuer answer a status, or work again for 0.
func (i *Issuer) FailWith(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// ServeHTTP answers one request for a token.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.status != 0:
		w.WriteHeader(i.status)
	case r.Header.Get("Authorization") != "Bearer "+i.Request || r.URL.Query().Get("api-version") == "":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		jwt := i.mint(r.URL.Query().Get("audience"), time.Now())
		i.issued = append(i.issued, jwt)
		w.Write(encode(map[string]string{"value": jwt}))
	}
}

// mint signs a token (RFC 7515, RS256).
func (i *Issuer) mint(audience string, now time.Time) string {
	claims := maps.Clone(i.Claims)
	maps.Copy(claims, map[string]any{"iss": i.URL, "aud": audience, "iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Unix() + 300})
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(encode(v)) }
	text := part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key was made here
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// JWTRole is a role of the auth method jwt, with the configuration of its
// mount: the issuer and its public key.
type JWTRole struct {
	Issuer         *Issuer
	BoundAudiences []string
	BoundClaims    map[string]string
	Rules          []Rule
}

// check validates a token as the auth method does, in its order: signature,
// issuer and times, audience, claims.
func (role *JWTRole) check(jwt string, now time.Time) *apiError {
	claims, failure := role.verify(jwt)
	if failure != nil {
		return failure
	}
	exp, _ := claims["exp"].(float64)
	nbf, _ := claims["nbf"].(float64)
	aud, _ := claims["aud"].(string)
	switch {
	case claims["iss"] != role.Issuer.URL:
		return refuse("error validating token: invalid issuer (iss) claim")
	case float64(now.Unix()) >= exp, float64(now.Unix()) < nbf:
		return refuse("error validating token: invalid expiration time (exp) claim: token is expired")
	case !slices.Contains(role.BoundAudiences, aud):
		return refuse("error validating token: invalid audience (aud) claim: audience claim does not match any expected audience")
	}
	for name, want := range role.BoundClaims {
		if claims[name] != want {
			return refuse("error validating claims: claim %q does not match any associated bound claim values", name)
		}
	}
	return nil
}

func (role *JWTRole) verify(jwt string) (map[string]any, *apiError) {
	bad := refuse("error validating token: error verifying token signature: no known key successfully validated the token signature")
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, bad
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, bad
		}
	}
	var header struct{ Alg string }
	var claims map[string]any
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if json.Unmarshal(decoded[0], &header) != nil || header.Alg != "RS256" || json.Unmarshal(decoded[1], &claims) != nil ||
		rsa.VerifyPKCS1v15(&role.Issuer.key.PublicKey, crypto.SHA256, sum[:], decoded[2]) != nil {
		return nil, bad
	}
	return claims, nil
}
