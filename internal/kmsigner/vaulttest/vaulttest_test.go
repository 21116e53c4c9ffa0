package vaulttest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

type response struct {
	status    int
	RequestID string `json:"request_id"`
	Data      map[string]any
	Auth      map[string]any
	Errors    []string
}

func start(t *testing.T) *Server {
	t.Helper()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func create(t *testing.T, s *Server, at KeyAt, kind Type) {
	t.Helper()
	if err := s.CreateKey(at, kind); err != nil {
		t.Fatal(err)
	}
}

// send makes a request as a client does; a nil body is a GET.
func send(t *testing.T, s *Server, token, namespace, path string, body map[string]any) response {
	t.Helper()
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		method, text = http.MethodPost, encode(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Namespace", namespace)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := response{status: resp.StatusCode}
	if len(data) > 0 && json.Unmarshal(data, &out) != nil {
		t.Fatalf("%s: %s", path, data)
	}
	return out
}

func signed(t *testing.T, r response, version int) []byte {
	t.Helper()
	text, _ := r.Data["signature"].(string)
	sig, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, fmt.Sprintf("vault:v%d:", version)))
	if r.status != 200 || err != nil || r.Data["key_version"] != float64(version) || r.RequestID == "" {
		t.Fatalf("%+v, want a signature of version %d", r, version)
	}
	return sig
}

var message = sha256.Sum256([]byte("message"))

func input(b []byte, more map[string]any) map[string]any {
	out := map[string]any{"input": b}
	for name, value := range more {
		out[name] = value
	}
	return out
}

// An ECDSA key signs a "digest" of any length; an RSA key does not.
func TestShortDigest(t *testing.T) {
	s := start(t)
	create(t, s, KeyAt{Name: "ec"}, P256)
	create(t, s, KeyAt{Name: "rsa"}, RSA2048)
	short := input([]byte{1, 2, 3}, map[string]any{"prehashed": true})
	sig := signed(t, send(t, s, "root-token", "", "transit/sign/ec/sha2-256", short), 1)
	if !ecdsa.VerifyASN1(s.Public(KeyAt{Name: "ec"}, 1).(*ecdsa.PublicKey), []byte{1, 2, 3}, sig) {
		t.Error("the three bytes are not what was signed")
	}
	short["signature_algorithm"] = "pkcs1v15"
	if r := send(t, s, "root-token", "", "transit/sign/rsa/sha2-256", short); r.status != 500 || !strings.Contains(r.Errors[0], "hashed message") {
		t.Errorf("%+v", r)
	}
}

// RSA is PSS with the longest salt unless the request says otherwise.
func TestRSADefaults(t *testing.T) {
	s := start(t)
	at := KeyAt{Name: "rsa"}
	create(t, s, at, RSA2048)
	public := s.Public(at, 1).(*rsa.PublicKey)
	longest := 256 - 2 - sha256.Size
	for _, c := range []struct {
		body map[string]any
		salt int // -1 for PKCS #1
	}{
		{nil, longest}, {map[string]any{"signature_algorithm": "pss"}, longest}, {map[string]any{"salt_length": "hash"}, sha256.Size},
		{map[string]any{"signature_algorithm": "pkcs1v15"}, -1},
	} {
		for _, prehashed := range []bool{true, false} {
			body := input([]byte("message"), c.body)
			if prehashed {
				body = input(message[:], c.body)
				body["prehashed"] = true
			}
			sig := signed(t, send(t, s, "root-token", "", "transit/sign/rsa", body), 1)
			err := rsa.VerifyPKCS1v15(public, crypto.SHA256, message[:], sig)
			if c.salt >= 0 {
				err = rsa.VerifyPSS(public, crypto.SHA256, message[:], sig, &rsa.PSSOptions{SaltLength: c.salt})
			}
			if err != nil {
				t.Errorf("%v, prehashed %v: %v", c.body, prehashed, err)
			}
		}
	}
}

func TestVersions(t *testing.T) {
	s := start(t)
	at := KeyAt{Name: "k"}
	create(t, s, at, Ed25519)
	if err := s.RotateKey(at); err != nil {
		t.Fatal(err)
	}
	for asked, version := range map[int]int{0: 2, 1: 1, 2: 2} {
		sig := signed(t, send(t, s, "root-token", "", "transit/sign/k", input([]byte("m"), map[string]any{"key_version": asked})), version)
		if !ed25519.Verify(s.Public(at, version).(ed25519.PublicKey), []byte("m"), sig) {
			t.Errorf("version %d", asked)
		}
	}
	s.SetMinEncryptionVersion(at, 2)
	for asked, says := range map[int]string{1: "less than the minimum encryption key version", 3: "higher than the latest key version", -1: "negative"} {
		r := send(t, s, "root-token", "", "transit/sign/k", input(nil, map[string]any{"key_version": asked}))
		if r.status != 500 || !strings.Contains(r.Errors[0], says) {
			t.Errorf("version %d: %+v", asked, r)
		}
	}
	s.SetMinDecryptionVersion(at, 2)
	r := send(t, s, "root-token", "", "transit/keys/k", nil)
	keys, _ := r.Data["keys"].(map[string]any)
	if r.Data["latest_version"] != 2.0 || len(keys) != 1 || keys["2"] == nil || r.Data["min_encryption_version"] != 2.0 {
		t.Errorf("%+v", r.Data)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t)
	create(t, s, KeyAt{Name: "ec"}, P256)
	create(t, s, KeyAt{Name: "aes"}, AES256)
	create(t, s, KeyAt{Namespace: "team", Name: "inner"}, P256)
	for name, c := range map[string]struct {
		token, namespace, path string
		body                   map[string]any
		status                 int
		says                   string
	}{
		"wrong token":       {"other", "", "transit/keys/ec", nil, 403, "permission denied"},
		"no token":          {"", "", "transit/sign/ec", input(nil, nil), 403, "permission denied"},
		"no key to read":    {"root-token", "", "transit/keys/none", nil, 404, ""},
		"no key to sign":    {"root-token", "", "transit/sign/none", input(nil, nil), 400, "signing key not found"},
		"no mount":          {"root-token", "", "other/keys/ec", nil, 404, "no handler for route"},
		"no path":           {"root-token", "", "sys/mounts", nil, 404, "no handler for route"},
		"outer from inside": {"root-token", "team", "transit/keys/ec", nil, 404, ""},
		"inner":             {"root-token", "team", "transit/keys/inner", nil, 200, ""},
		"inner from out":    {"root-token", "", "transit/keys/inner", nil, 404, ""},
		"symmetric":         {"root-token", "", "transit/sign/aes", input(nil, nil), 400, "does not support signing"},
		"hash":              {"root-token", "", "transit/sign/ec/sha1", input(nil, nil), 400, `invalid hash algorithm "sha1"`},
		"marshaling":        {"root-token", "", "transit/sign/ec", input(nil, map[string]any{"marshaling_algorithm": "raw"}), 400, "invalid marshaling type"},
		"salt":              {"root-token", "", "transit/sign/ec", input(nil, map[string]any{"salt_length": "x"}), 400, "salt length"},
		"no base64":         {"root-token", "", "transit/sign/ec", map[string]any{"input": "%"}, 400, "unable to decode input as base64"},
		"unknown member":    {"root-token", "", "transit/sign/ec", input(nil, map[string]any{"prehash": true}), 400, "unknown field"},
		"wrong type":        {"root-token", "", "transit/sign/ec", map[string]any{"input": 7}, 400, "failed to parse JSON"},
	} {
		r := send(t, s, c.token, c.namespace, c.path, c.body)
		if r.status != c.status || c.says != "" && (len(r.Errors) != 1 || !strings.Contains(r.Errors[0], c.says)) || c.status >= 400 && r.RequestID != "" {
			t.Errorf("%s: %+v, want %d %q", name, r, c.status, c.says)
		}
	}
	s.Seal(true)
	if r := send(t, s, "root-token", "", "transit/keys/ec", nil); r.status != 503 || r.Errors[0] != "Vault is sealed" {
		t.Errorf("%+v", r)
	}
}

func TestPolicy(t *testing.T) {
	s := start(t)
	create(t, s, KeyAt{Name: "k"}, P256)
	create(t, s, KeyAt{Namespace: "team/a", Name: "k"}, P256)
	s.CreateToken("team", "t", []Rule{{"transit/keys/k", []string{"read"}}, {"transit/sign/k/*", []string{"update"}}})
	for path, want := range map[string]int{"transit/keys/k": 200, "transit/sign/k/sha2-256": 200, "transit/sign/k": 403, "transit/keys/other": 403, "auth/token/lookup-self": 200} {
		var body map[string]any
		if strings.Contains(path, "sign") {
			body = input(message[:], map[string]any{"prehashed": true})
		}
		if r := send(t, s, "t", "team/a", path, body); r.status != want {
			t.Errorf("%s: %+v, want %d", path, r, want)
		}
	}
	for _, namespace := range []string{"", "other", "teammate"} {
		if r := send(t, s, "t", namespace, "transit/keys/k", nil); r.status != 403 {
			t.Errorf("namespace %q: %+v", namespace, r)
		}
	}
}

func TestAppRole(t *testing.T) {
	s := start(t)
	s.AddAppRole("team", "ci/approle", AppRole{RoleID: "r", SecretID: "s"})
	login := map[string]any{"role_id": "r", "secret_id": "s"}
	r := send(t, s, "", "team", "auth/ci/approle/login", login)
	id, _ := r.Auth["client_token"].(string)
	if r.status != 200 || !slices.Contains(s.Tokens(), id) || r.Auth["token_type"] != "service" {
		t.Fatalf("%+v", r)
	}
	if r := send(t, s, id, "team", "auth/token/lookup-self", nil); r.Data["ttl"].(float64) < 1000 || r.Data["display_name"] != "approle" {
		t.Errorf("%+v", r)
	}
	if r := send(t, s, id, "team", "auth/token/revoke-self", map[string]any{}); r.status != 204 || len(s.Tokens()) != 0 {
		t.Errorf("%+v, %d tokens left", r, len(s.Tokens()))
	}
	if r := send(t, s, id, "team", "auth/token/lookup-self", nil); r.status != 403 {
		t.Errorf("%+v", r)
	}
	login["secret_id"] = "x"
	if r := send(t, s, "", "team", "auth/ci/approle/login", login); r.status != 400 || r.Errors[0] != "invalid role or secret ID" {
		t.Errorf("%+v", r)
	}
	if r := send(t, s, "", "", "auth/ci/approle/login", login); r.status != 403 {
		t.Errorf("%+v", r)
	}
}

func TestJWT(t *testing.T) {
	s := start(t)
	issuer, err := NewIssuer("acme/app", "release")
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	other, err := NewIssuer("acme/app", "release")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.AddJWTRole("", "jwt", "signer", JWTRole{Issuer: issuer, BoundAudiences: []string{"vault"}, BoundClaims: map[string]string{"repository": "acme/app"}})
	good := issuer.mint("vault", time.Now())
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	foreign := &Issuer{URL: other.URL, key: issuer.key, Claims: other.Claims}
	stranger := &Issuer{URL: issuer.URL, key: issuer.key, Claims: map[string]any{"repository": "acme/other"}}
	for name, c := range map[string]struct {
		role, jwt string
		says      string
	}{
		"good":            {"signer", good, ""},
		"role":            {"other", good, `role "other" could not be found`},
		"key":             {"signer", other.mint("vault", time.Now()), "signature"},
		"issuer":          {"signer", foreign.mint("vault", time.Now()), "(iss) claim"},
		"audience":        {"signer", issuer.mint("other", time.Now()), "(aud) claim"},
		"expired":         {"signer", issuer.mint("vault", time.Now().Add(-time.Hour)), "(exp) claim"},
		"not yet":         {"signer", issuer.mint("vault", time.Now().Add(time.Hour)), "(exp) claim"},
		"repository":      {"signer", stranger.mint("vault", time.Now()), `claim "repository"`},
		"changed":         {"signer", parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2], "signature"},
		"no signature":    {"signer", parts[0] + "." + parts[1] + ".", "signature"},
		"alg none":        {"signer", none + "." + parts[1] + ".", "signature"},
		"two parts":       {"signer", parts[0] + "." + parts[1], "signature"},
		"signature twice": {"signer", good + "." + parts[2], "signature"},
	} {
		r := send(t, s, "", "", "auth/jwt/login", map[string]any{"role": c.role, "jwt": c.jwt})
		if c.says == "" && (r.status != 200 || r.Auth["client_token"] == "") || c.says != "" && (r.status != 400 || !strings.Contains(r.Errors[0], c.says)) {
			t.Errorf("%s: %+v, want %q", name, r, c.says)
		}
	}
}

func TestIssuer(t *testing.T) {
	issuer, err := NewIssuer("acme/app", "release")
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	env := issuer.Env()
	for bearer, status := range map[string]int{env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]: 200, "other": 401} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=a", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: HTTP %d, want %d", bearer, resp.StatusCode, status)
		}
	}
	if n := len(issuer.Issued()); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// Faults come one by one, and after them the service works again.
func TestFaults(t *testing.T) {
	s := start(t)
	create(t, s, KeyAt{Name: "k"}, P256)
	s.Inject("read", Throttle(), Standby(), Behind(), Unavailable(), Internal(), Fail(418))
	for _, want := range []int{429, 473, 412, 503, 500, 418, 200} {
		if r := send(t, s, "root-token", "", "transit/keys/k", nil); r.status != want {
			t.Errorf("HTTP %d, want %d", r.status, want)
		}
	}
	if n := s.Count("read"); n != 7 {
		t.Errorf("%d requests in the log", n)
	}
	body := input(message[:], map[string]any{"prehashed": true})
	public := s.Public(KeyAt{Name: "k"}, 1).(*ecdsa.PublicKey)
	for range 20 { // signatures differ in length
		s.Inject("sign", CorruptSignature())
		sig := signed(t, send(t, s, "root-token", "", "transit/sign/k", body), 1)
		if ecdsa.VerifyASN1(public, message[:], sig) {
			t.Error("the signature is not corrupted")
		}
	}
	if err := s.RotateKey(KeyAt{Name: "k"}); err != nil {
		t.Fatal(err)
	}
	s.Inject("sign", OtherVersion(1))
	sig := signed(t, send(t, s, "root-token", "", "transit/sign/k", body), 1)
	if !ecdsa.VerifyASN1(public, message[:], sig) {
		t.Error("version 1 did not sign")
	}
}
