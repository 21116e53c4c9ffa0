package gcptest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/signer"
)

const token = "ya29.test-token"

func start(t *testing.T) *gcptest.Server {
	t.Helper()
	server, err := gcptest.New(gcptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func create(t *testing.T, s *gcptest.Server, algorithm gcptest.Algorithm) string {
	t.Helper()
	name, err := s.CreateKey("images", algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// send makes one request and returns the HTTP status and the answer.
func send(t *testing.T, s *gcptest.Server, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return resp.StatusCode, out
}

// status returns "404 NOT_FOUND", the text of the error behind it, or "200".
func status(code int, out map[string]any) string {
	e, ok := out["error"].(map[string]any)
	if !ok {
		return fmt.Sprint(code)
	}
	if e["code"] != float64(code) {
		return fmt.Sprintf("HTTP %d with the code %v", code, e["code"])
	}
	return fmt.Sprintf("%d %s %s", code, e["status"], e["message"])
}

func sum(data []byte) string {
	return fmt.Sprint(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// TestCRC32C: the checksum is that of RFC 3720 appendix B.4.
func TestCRC32C(t *testing.T) {
	if got := sum(make([]byte, 32)); got != fmt.Sprint(0x8a9136aa) {
		t.Errorf("CRC32C of 32 zeros is %s", got)
	}
}

// TestSign: each kind of key gives a public key and signs what it is given, so
// that the public key verifies it.
func TestSign(t *testing.T) {
	s, message := start(t), []byte("message")
	h256, h384 := sha256.Sum256(message), sha512.Sum384(message)
	for algorithm, c := range map[gcptest.Algorithm]struct {
		digest string
		value  []byte
		verify func(pub any, sig []byte) bool
	}{
		gcptest.P256: {"sha256", h256[:], func(pub any, sig []byte) bool { return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), h256[:], sig) }},
		gcptest.P384: {"sha384", h384[:], func(pub any, sig []byte) bool { return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), h384[:], sig) }},
		gcptest.RSA2048: {"sha256", h256[:], func(pub any, sig []byte) bool {
			return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, h256[:], sig) == nil
		}},
		gcptest.RSAPSS2048: {"sha256", h256[:], func(pub any, sig []byte) bool {
			return rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, h256[:], sig, nil) == nil
		}},
		gcptest.Ed25519: {"", message, func(pub any, sig []byte) bool { return ed25519.Verify(pub.(ed25519.PublicKey), message, sig) }},
		gcptest.MLDSA65: {"", message, func(pub any, sig []byte) bool { return mldsa.Verify(pub.(*mldsa.PublicKey), message, sig, nil) == nil }},
	} {
		name := create(t, s, algorithm)
		body := fmt.Sprintf(`{"data":%q,"dataCrc32c":%q}`, b64(c.value), sum(c.value))
		if c.digest != "" {
			body = fmt.Sprintf(`{"digest":{%q:%q},"digestCrc32c":%q}`, c.digest, b64(c.value), sum(c.value))
		}
		code, out := send(t, s, "POST", "/v1/"+name+":asymmetricSign", body)
		sig, _ := base64.StdEncoding.DecodeString(fmt.Sprint(out["signature"]))
		if code != 200 || out["name"] != name || out["signatureCrc32c"] != sum(sig) || (out["verifiedDigestCrc32c"] == true) != (c.digest != "") || !c.verify(s.Public(name), sig) {
			t.Errorf("%s: %d %v", algorithm, code, out)
		}
	}
}

func TestExternalMu(t *testing.T) {
	s, message := start(t), []byte("message")
	name := create(t, s, gcptest.MLDSA44ExternalMu)
	mu, err := signer.ExternalMu(s.Public(name), message)
	if err != nil {
		t.Fatal(err)
	}
	_, out := send(t, s, "POST", "/v1/"+name+":asymmetricSign", fmt.Sprintf(`{"digest":{"externalMu":%q}}`, b64(mu)))
	sig, _ := base64.StdEncoding.DecodeString(fmt.Sprint(out["signature"]))
	if mldsa.Verify(s.Public(name).(*mldsa.PublicKey), message, sig, nil) != nil {
		t.Errorf("the signature does not verify: %v", out)
	}
	if out["verifiedDigestCrc32c"] != nil {
		t.Error("confirms a checksum that was not sent")
	}
}

func TestPublicKey(t *testing.T) {
	s := start(t)
	for _, algorithm := range []gcptest.Algorithm{gcptest.P256, gcptest.RSA2048, gcptest.Ed25519, gcptest.Secp256k1} {
		name := create(t, s, algorithm)
		_, out := send(t, s, "GET", "/v1/"+name+"/publicKey", "")
		text := fmt.Sprint(out["pem"])
		block, rest := pem.Decode([]byte(text))
		if block == nil || len(rest) > 0 || out["name"] != name || out["algorithm"] != string(algorithm) || out["pemCrc32c"] != sum([]byte(text)) || out["publicKey"] != nil {
			t.Errorf("%s: %v", algorithm, out)
		}
	}
	name := create(t, s, gcptest.MLDSA87)
	_, out := send(t, s, "GET", "/v1/"+name+"/publicKey?publicKeyFormat=NIST_PQC", "")
	key := out["publicKey"].(map[string]any)
	raw, _ := base64.StdEncoding.DecodeString(fmt.Sprint(key["data"]))
	if !bytes.Equal(raw, s.Public(name).(*mldsa.PublicKey).Bytes()) || key["crc32cChecksum"] != sum(raw) || out["publicKeyFormat"] != "NIST_PQC" || out["pem"] != nil {
		t.Errorf("%v", out)
	}
}

// TestRefuses: what the service does not model, or would refuse, is refused.
func TestRefuses(t *testing.T) {
	s := start(t)
	pqc := create(t, s, gcptest.MLDSA44)
	symmetric, _ := s.CreateKey("symmetric", gcptest.GoogleSymmetric)
	ec, _ := s.CreateKey("ec", gcptest.P256)
	mu, _ := s.CreateKey("mu", gcptest.MLDSA44ExternalMu)
	zeros := func(n int) string { return b64(make([]byte, n)) }
	digest := fmt.Sprintf(`{"digest":{"sha256":%q}}`, zeros(32))
	for about, c := range map[string]struct{ method, path, body, want string }{
		"fine":                 {"POST", ec + ":asymmetricSign", digest, "200"},
		"unknown method":       {"POST", ec + ":asymmetricDecrypt", digest, "404 NOT_FOUND"},
		"wrong verb":           {"GET", ec + ":asymmetricSign", "", "404 NOT_FOUND"},
		"no version":           {"POST", strings.TrimSuffix(ec, "/cryptoKeyVersions/1") + ":asymmetricSign", digest, "404 NOT_FOUND"},
		"unknown version":      {"POST", ec + "1:asymmetricSign", digest, "404 NOT_FOUND CryptoKeyVersion"},
		"unknown key":          {"GET", strings.Replace(ec, "/ec/", "/x/", 1) + "/publicKey", "", "404 NOT_FOUND"},
		"query":                {"POST", ec + ":asymmetricSign?alt=json", digest, "400 INVALID_ARGUMENT Invalid query"},
		"query of the key":     {"GET", ec + "/publicKey?format=PEM", "", "400 INVALID_ARGUMENT Invalid query"},
		"query twice":          {"GET", pqc + "/publicKey?publicKeyFormat=NIST_PQC&publicKeyFormat=NIST_PQC", "", "400 INVALID_ARGUMENT Invalid query"},
		"unknown member":       {"POST", ec + ":asymmetricSign", strings.Replace(digest, "{", `{"name":"x",`, 1), "400 INVALID_ARGUMENT Invalid JSON"},
		"other spelling":       {"POST", ec + ":asymmetricSign", strings.Replace(digest, "digest", "Digest", 1), "400 INVALID_ARGUMENT Invalid JSON"},
		"unknown digest":       {"POST", ec + ":asymmetricSign", strings.Replace(digest, "sha256", "sha1", 1), "400 INVALID_ARGUMENT Invalid JSON"},
		"member twice":         {"POST", ec + ":asymmetricSign", `{"data":"","data":""}`, "400 INVALID_ARGUMENT Invalid JSON"},
		"no JSON":              {"POST", ec + ":asymmetricSign", "x", "400 INVALID_ARGUMENT Invalid JSON"},
		"nothing":              {"POST", ec + ":asymmetricSign", "{}", "400 INVALID_ARGUMENT Exactly one"},
		"both":                 {"POST", ec + ":asymmetricSign", strings.Replace(digest, "{", `{"data":"",`, 1), "400 INVALID_ARGUMENT Exactly one"},
		"two digests":          {"POST", ec + ":asymmetricSign", fmt.Sprintf(`{"digest":{"sha256":%q,"sha512":%q}}`, zeros(32), zeros(64)), "400 INVALID_ARGUMENT The digest needs"},
		"empty digest":         {"POST", ec + ":asymmetricSign", `{"digest":{}}`, "400 INVALID_ARGUMENT The digest needs"},
		"sum of nothing":       {"POST", ec + ":asymmetricSign", strings.Replace(digest, "{", `{"dataCrc32c":"0",`, 1), "400 INVALID_ARGUMENT There is a checksum"},
		"wrong sum":            {"POST", ec + ":asymmetricSign", strings.Replace(digest, "{", `{"digestCrc32c":"1",`, 1), "400 INVALID_ARGUMENT The checksum"},
		"a number as sum":      {"POST", ec + ":asymmetricSign", strings.Replace(digest, "{", `{"digestCrc32c":1,`, 1), "400 INVALID_ARGUMENT Invalid JSON"},
		"wrong length":         {"POST", ec + ":asymmetricSign", fmt.Sprintf(`{"digest":{"sha256":%q}}`, zeros(31)), "400 INVALID_ARGUMENT The digest of the key"},
		"wrong hash":           {"POST", ec + ":asymmetricSign", fmt.Sprintf(`{"digest":{"sha384":%q}}`, zeros(48)), "400 INVALID_ARGUMENT The digest of the key"},
		"data for a digest":    {"POST", ec + ":asymmetricSign", `{"data":"AA=="}`, "400 INVALID_ARGUMENT The key"},
		"digest for data":      {"POST", pqc + ":asymmetricSign", digest, "400 INVALID_ARGUMENT The key"},
		"data for μ":           {"POST", mu + ":asymmetricSign", `{"data":"AA=="}`, "400 INVALID_ARGUMENT The key"},
		"hash for μ":           {"POST", mu + ":asymmetricSign", fmt.Sprintf(`{"digest":{"sha512":%q}}`, zeros(64)), "400 INVALID_ARGUMENT The digest of the key"},
		"too much data":        {"POST", pqc + ":asymmetricSign", fmt.Sprintf(`{"data":%q}`, zeros(64<<10+1)), "400 INVALID_ARGUMENT The data"},
		"symmetric":            {"GET", symmetric + "/publicKey", "", "400 INVALID_ARGUMENT The purpose"},
		"no format for ML-DSA": {"GET", pqc + "/publicKey", "", "400 INVALID_ARGUMENT Only NIST_PQC"},
		"NIST_PQC for EC":      {"GET", ec + "/publicKey?publicKeyFormat=NIST_PQC", "", "400 INVALID_ARGUMENT NIST_PQC format is not"},
		"list with a filter":   {"GET", strings.TrimSuffix(ec, "/1") + "?filter=name%3Dx", "", "400 INVALID_ARGUMENT Invalid filter"},
		"list of nothing":      {"GET", strings.TrimSuffix(ec, "/ec/cryptoKeyVersions/1") + "/x/cryptoKeyVersions", "", "404 NOT_FOUND CryptoKey"},
		"list, bad page":       {"GET", strings.TrimSuffix(ec, "/1") + "?pageToken=99", "", "400 INVALID_ARGUMENT Invalid page"},
	} {
		if got := status(send(t, s, c.method, "/v1/"+c.path, c.body)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", about, got, c.want)
		}
	}
	if got := status(send(t, s, "POST", "/v1/"+ec+":asymmetricSign", digest, "Content-Type", "text/plain")); !strings.HasPrefix(got, "400") {
		t.Errorf("another content type: %s", got)
	}
}

func TestToken(t *testing.T) {
	s := start(t)
	path := "/v1/" + create(t, s, gcptest.P256) + "/publicKey"
	for _, value := range []string{"", token, "Bearer x", "Basic " + token} {
		if got := status(send(t, s, "GET", path, "", "Authorization", value)); !strings.HasPrefix(got, "401 UNAUTHENTICATED") {
			t.Errorf("Authorization %q: %s", value, got)
		}
	}
	s.ExpireToken()
	if got := status(send(t, s, "GET", path, "")); !strings.HasPrefix(got, "401 UNAUTHENTICATED") {
		t.Errorf("expired: %s", got)
	}
}

func TestStates(t *testing.T) {
	s := start(t)
	name := create(t, s, gcptest.P256)
	for _, state := range []gcptest.State{gcptest.Disabled, gcptest.Destroyed, gcptest.DestroyScheduled, gcptest.PendingGeneration} {
		s.SetState(name, state)
		code, out := send(t, s, "GET", "/v1/"+name+"/publicKey", "")
		want := "400 FAILED_PRECONDITION " + name + " is not enabled, current state is: " + string(state) + "."
		if got := status(code, out); got != want || !strings.Contains(fmt.Sprint(out), "KEY_"+string(state)) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestList(t *testing.T) {
	s := start(t)
	key := strings.TrimSuffix(create(t, s, gcptest.P256), "/cryptoKeyVersions/1")
	for range 4 {
		if _, err := s.AddVersion(key, gcptest.MLDSA44); err != nil {
			t.Fatal(err)
		}
	}
	s.SetState(key+"/cryptoKeyVersions/2", gcptest.Disabled)
	var names []string
	for query := (url.Values{"filter": {"state=ENABLED"}}); ; {
		_, out := send(t, s, "GET", "/v1/"+key+"/cryptoKeyVersions?"+query.Encode(), "")
		for _, v := range out["cryptoKeyVersions"].([]any) {
			names = append(names, strings.TrimPrefix(v.(map[string]any)["name"].(string), key+"/cryptoKeyVersions/"))
		}
		next, ok := out["nextPageToken"].(string)
		if !ok {
			break
		}
		query.Set("pageToken", next)
	}
	if got := strings.Join(names, " "); got != "1 3 4 5" {
		t.Errorf("versions %s", got)
	}
	if _, err := s.AddVersion("projects/x", gcptest.P256); err == nil {
		t.Error("a version of no key")
	}
}

// TestFaults: faults strike in order and then end; the log has every request.
func TestFaults(t *testing.T) {
	s := start(t)
	name := create(t, s, gcptest.P256)
	path := "/v1/" + name + "/publicKey"
	s.Inject("getPublicKey", gcptest.Throttle("1s"), gcptest.Edit("name", "other"), gcptest.Edit("pemCrc32c", nil),
		gcptest.Before(func(s *gcptest.Server) { s.SetState(name, gcptest.Disabled) }))
	if got := status(send(t, s, "GET", path, "")); !strings.HasPrefix(got, "429 RESOURCE_EXHAUSTED") {
		t.Errorf("throttled: %s", got)
	}
	if _, out := send(t, s, "GET", path, ""); out["name"] != "other" {
		t.Errorf("edited: %v", out)
	}
	if _, out := send(t, s, "GET", path, ""); out["pemCrc32c"] != nil || out["pem"] == nil {
		t.Errorf("removed: %v", out)
	}
	if got := status(send(t, s, "GET", path, "")); !strings.HasPrefix(got, "400 FAILED_PRECONDITION") {
		t.Errorf("disabled between: %s", got)
	}
	s.SetState(name, gcptest.Enabled)
	if got := status(send(t, s, "GET", path, "", "User-Agent", "me")); got != "200" {
		t.Errorf("after the faults: %s", got)
	}
	log := s.Requests()
	if last := log[len(log)-1]; len(log) != 5 || s.Count("getPublicKey") != 5 || last.UserAgent != "me" || last.Resource != name || log[0].Status != "RESOURCE_EXHAUSTED" {
		t.Errorf("log %+v", log)
	}
}

// TestTokenHosts: each token host checks what it is given.
func TestTokenHosts(t *testing.T) {
	s := start(t)
	for about, c := range map[string]struct{ method, path, body, authorization, want string }{
		"oidc":               {"GET", "/oidc", "", "Bearer " + gcptest.OIDCRequestToken, "200"},
		"oidc, no token":     {"GET", "/oidc", "", "", "400"},
		"login":              {"POST", "/token", "grant_type=refresh_token&refresh_token=" + gcptest.RefreshToken + "&client_secret=" + gcptest.ClientSecret, "", "200"},
		"login, other token": {"POST", "/token", "grant_type=refresh_token&refresh_token=x&client_secret=" + gcptest.ClientSecret, "", "400"},
		"exchange, no token": {"POST", "/sts/v1/token", "grant_type=x", "", "400"},
		"impersonate":        {"POST", "/v1/projects/-/serviceAccounts/" + gcptest.Account + ":generateAccessToken", "{}", "Bearer x", "400"},
	} {
		code, _ := send(t, s, c.method, c.path, c.body, "Authorization", c.authorization)
		if fmt.Sprint(code) != c.want {
			t.Errorf("%s: %d, want %s", about, code, c.want)
		}
	}
}
