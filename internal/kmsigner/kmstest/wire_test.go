package kmstest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

// signing is how a test signs a request, with AWS's own signer.
type signing struct {
	accessKey, secret, token, service, region string
	at                                        time.Time
}

func right() signing { return signing{accessKey, secretKey, "", "kms", "eu-west-1", time.Now()} }

func request(t *testing.T, server *kmstest.Server, operation, body string, s signing) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	sum := sha256.Sum256([]byte(body))
	creds := aws.Credentials{AccessKeyID: s.accessKey, SecretAccessKey: s.secret, SessionToken: s.token}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hex.EncodeToString(sum[:]), s.service, s.region, s.at); err != nil {
		t.Fatal(err)
	}
	return r
}

func wantAnswer(t *testing.T, r *http.Request, code, says string) {
	t.Helper()
	status, text := post(t, r, "")
	var out struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if want := map[bool]int{true: 200, false: 400}[code == ""]; status != want || out.Type != code || !strings.Contains(out.Message, says) {
		t.Errorf("HTTP %d %s, want %d %s that says %q", status, text, want, code, says)
	}
}

func TestSigV4(t *testing.T) {
	server := start(t, kmstest.Options{})
	body := `{"KeyId":"` + create(t, server, kmstest.P256) + `"}`
	for name, c := range map[string]struct {
		change     func(*signing)
		code, says string
	}{
		"right":           {func(s *signing) {}, "", ""},
		"4 minutes slow":  {func(s *signing) { s.at = s.at.Add(-4 * time.Minute) }, "", ""},
		"4 minutes fast":  {func(s *signing) { s.at = s.at.Add(4 * time.Minute) }, "", ""},
		"6 minutes slow":  {func(s *signing) { s.at = s.at.Add(-6 * time.Minute) }, "InvalidSignatureException", "Signature expired: "},
		"6 minutes fast":  {func(s *signing) { s.at = s.at.Add(6 * time.Minute) }, "InvalidSignatureException", "Signature not yet current: "},
		"a day slow":      {func(s *signing) { s.at = s.at.Add(-24 * time.Hour) }, "InvalidSignatureException", "Signature expired: "},
		"wrong secret":    {func(s *signing) { s.secret += "x" }, "InvalidSignatureException", "does not match"},
		"wrong key":       {func(s *signing) { s.accessKey = "AKIAOTHER" }, "UnrecognizedClientException", "invalid"},
		"unwanted token":  {func(s *signing) { s.token = "token" }, "UnrecognizedClientException", "invalid"},
		"wrong Region":    {func(s *signing) { s.region = "us-east-1" }, "InvalidSignatureException", "valid region, not 'us-east-1'"},
		"another service": {func(s *signing) { s.service = "s3" }, "InvalidSignatureException", "correct service: 'kms'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := right()
			c.change(&s)
			wantAnswer(t, request(t, server, "GetPublicKey", body, s), c.code, c.says)
		})
	}
}

func TestSigV4Token(t *testing.T) {
	server := start(t, kmstest.Options{SessionToken: "token"})
	body := `{"KeyId":"` + create(t, server, kmstest.P256) + `"}`
	for token, code := range map[string]string{"token": "", "": "UnrecognizedClientException", "other": "UnrecognizedClientException"} {
		s := right()
		s.token = token
		wantAnswer(t, request(t, server, "GetPublicKey", body, s), code, "")
	}
	server.ExpireToken()
	s := right()
	s.token = "token"
	wantAnswer(t, request(t, server, "GetPublicKey", body, s), "ExpiredTokenException", "expired")
}

// What was changed after the signature was made is found out.
func TestSigV4Tampering(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	body := `{"KeyId":"` + arn + `"}`
	mismatch := "InvalidSignatureException"
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   string
	}{
		"body": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(body, "KeyId", "KeyIe", 1)))
		}, mismatch},
		"operation":       {func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.DescribeKey") }, mismatch},
		"host":            {func(r *http.Request) { r.Host = "kms.eu-west-1.amazonaws.com" }, mismatch},
		"unsigned header": {func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, mismatch},
		"date": {func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Minute).UTC().Format("20060102T150405Z"))
		}, mismatch},
		"no date":          {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "IncompleteSignatureException"},
		"no authorization": {func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException"},
		"basic":            {func(r *http.Request) { r.SetBasicAuth("a", "b") }, "IncompleteSignatureException"},
		"another day's scope": {func(r *http.Request) {
			day := time.Now().UTC().Format("20060102")
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/"+day+"/", "/20000101/", 1))
		}, mismatch},
		"fewer signed headers": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ";x-amz-target", "", 1))
		}, mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, server, "GetPublicKey", body, right())
			c.change(r)
			wantAnswer(t, r, c.code, "")
		})
	}
	if n := len(server.Requests()); n == 0 {
		t.Error("nothing was logged")
	}
}

func TestStrictWire(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	for name, c := range map[string]struct{ operation, body, code, says string }{
		"fine":             {"GetPublicKey", `{"KeyId":"` + arn + `"}`, "", ""},
		"not ours":         {"CreateKey", `{}`, "UnknownOperationException", ""},
		"no operation":     {"", `{}`, "UnknownOperationException", ""},
		"no JSON":          {"GetPublicKey", `KeyId`, "SerializationException", ""},
		"null":             {"GetPublicKey", `null`, "SerializationException", ""},
		"a list":           {"GetPublicKey", `[]`, "SerializationException", ""},
		"trailing":         {"GetPublicKey", `{"KeyId":"` + arn + `"} x`, "SerializationException", ""},
		"unknown member":   {"GetPublicKey", `{"KeyId":"a","Colour":1}`, "SerializationException", "Colour"},
		"spelling":         {"GetPublicKey", `{"keyId":"a"}`, "SerializationException", "keyId"},
		"member of others": {"GetPublicKey", `{"KeyId":"a","DryRun":true}`, "SerializationException", "DryRun"},
		"no key":           {"GetPublicKey", `{}`, "ValidationException", "Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		"null key":         {"GetPublicKey", `{"KeyId":null}`, "ValidationException", "null"},
		"empty key":        {"GetPublicKey", `{"KeyId":""}`, "ValidationException", "length"},
		"number for text":  {"GetPublicKey", `{"KeyId":1}`, "SerializationException", "KeyId"},
		"text for boolean": {"Sign", `{"KeyId":"a","DryRun":"true"}`, "SerializationException", "DryRun"},
		"bad base64":       {"Sign", `{"KeyId":"a","Message":"*"}`, "SerializationException", "Message"},
		"list for bytes":   {"Sign", `{"KeyId":"a","Message":[1]}`, "SerializationException", "Message"},
		"no message":       {"Sign", `{"KeyId":"a","SigningAlgorithm":"ECDSA_SHA_256"}`, "ValidationException", "message"},
		"no signature":     {"Verify", `{"KeyId":"a","SigningAlgorithm":"ECDSA_SHA_256","Message":"AA=="}`, "ValidationException", "signature"},
		"11 grant tokens":  {"GetPublicKey", `{"KeyId":"a","GrantTokens":["","","","","","","","","","",""]}`, "ValidationException", "grantTokens"},
	} {
		t.Run(name, func(t *testing.T) {
			wantAnswer(t, request(t, server, c.operation, c.body, right()), c.code, c.says)
		})
	}
	for name, change := range map[string]func(*http.Request){
		"method":       func(r *http.Request) { r.Method = http.MethodPut },
		"path":         func(r *http.Request) { r.URL.Path = "/kms" },
		"query":        func(r *http.Request) { r.URL.RawQuery = "a=b" },
		"content type": func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
	} {
		r := request(t, server, "GetPublicKey", `{"KeyId":"`+arn+`"}`, right())
		change(r)
		t.Run(name, func(t *testing.T) { wantAnswer(t, r, "UnknownOperationException", "") })
	}
}

// snapshots returns the directory of the SDK's KMS module, whose snapshots are
// generated from AWS's model and know nothing of this server.
func snapshots(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/kms").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Fatalf("the SDK's module is not there (%v); run: go mod download", err)
	}
	return dir
}

// snapshot reads one: a first line, headers, a body.
func snapshot(t *testing.T, path string) (first string, header http.Header, body string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(text), "\n\n{")
	lines := strings.Split(head, "\n")
	header = http.Header{}
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ": "); ok {
			header.Set(name, value)
		}
	}
	return lines[0], header, "{" + body
}

// The requests of the snapshots are understood.
func TestRequestSnapshots(t *testing.T) {
	dir := snapshots(t)
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.RSA2048)
	for operation, code := range map[string]string{
		"Sign": "DryRunOperationException", "Verify": "DryRunOperationException", "GetPublicKey": "", "DescribeKey": "",
	} {
		first, header, body := snapshot(t, filepath.Join(dir, "request_snapshot", operation+".request.snap"))
		if first != "POST /" {
			t.Errorf("%s: %q", operation, first)
		}
		r := request(t, server, operation, body, right())
		for name := range header {
			if r.Header.Get(name) != header.Get(name) {
				t.Errorf("%s: the test sends %s: %s, the SDK %s", operation, name, r.Header.Get(name), header.Get(name))
			}
		}
		wantAnswer(t, r, "NotFoundException", "Invalid keyId '__KeyId__'")
		wantAnswer(t, request(t, server, operation, strings.Replace(body, "__KeyId__", arn, 1), right()), code, "")
	}
}

// The answers have the members of the snapshots, with the same JSON types.
func TestResponseSnapshots(t *testing.T) {
	dir := snapshots(t)
	server := start(t, kmstest.Options{})
	arn, err := server.CreateMultiRegionKey(kmstest.P256, start(t, kmstest.Options{Region: "us-east-1"}))
	if err != nil {
		t.Fatal(err)
	}
	_, signed := post(t, request(t, server, "Sign", `{"KeyId":"`+arn+`","Message":"AA==","SigningAlgorithm":"ECDSA_SHA_256"}`, right()), "")
	var sig struct{ Signature string }
	if err := json.Unmarshal([]byte(signed), &sig); err != nil {
		t.Fatal(err)
	}
	for operation, rest := range map[string]string{
		"Sign":   `,"Message":"AA==","SigningAlgorithm":"ECDSA_SHA_256"`,
		"Verify": `,"Message":"AA==","SigningAlgorithm":"ECDSA_SHA_256","Signature":"` + sig.Signature + `"`, "GetPublicKey": "", "DescribeKey": "",
	} {
		first, header, want := snapshot(t, filepath.Join(dir, "response_snapshot", operation+".response.snap"))
		status, got := post(t, request(t, server, operation, `{"KeyId":"`+arn+`"`+rest+`}`, right()), "")
		if first != "200" || status != 200 || header.Get("Content-Type") != "application/x-amz-json-1.1" {
			t.Errorf("%s: HTTP %d, the snapshot has %s", operation, status, first)
		}
		within(t, operation, decoded(t, got), decoded(t, want))
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}

// within checks that every member of got is in want and has its type there.
func within(t *testing.T, path string, got, want any) {
	t.Helper()
	switch got := got.(type) {
	case map[string]any:
		want, ok := want.(map[string]any)
		for name, value := range got {
			if _, known := want[name]; !ok || !known {
				t.Errorf("%s.%s is not in the snapshot", path, name)
				continue
			}
			within(t, path+"."+name, value, want[name])
		}
	case []any:
		want, ok := want.([]any)
		if !ok || len(want) == 0 {
			t.Errorf("%s is a list, in the snapshot it is not", path)
			return
		}
		for _, value := range got {
			within(t, path+"[]", value, want[0])
		}
	case string:
		if _, ok := want.(string); !ok {
			t.Errorf("%s is a string, in the snapshot it is %T", path, want)
		}
	case float64:
		if _, ok := want.(float64); !ok {
			t.Errorf("%s is a number, in the snapshot it is %T", path, want)
		}
	case bool:
		if _, ok := want.(bool); !ok {
			t.Errorf("%s is a boolean, in the snapshot it is %T", path, want)
		}
	default:
		t.Errorf("%s is null", path)
	}
}

// Errors of the model have the snapshots' form: __type and message.
func TestErrorSnapshots(t *testing.T) {
	dir := snapshots(t)
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	for _, code := range []string{"DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "NotFoundException",
		"UnsupportedOperationException", "InvalidArnException", "DryRunOperationException", "KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException", "KMSInvalidSignatureException"} {
		_, _, want := snapshot(t, filepath.Join(dir, "response_snapshot", code+".error.snap"))
		server.Inject("GetPublicKey", kmstest.Fail(code, "__Message__"))
		_, got := post(t, request(t, server, "GetPublicKey", `{"KeyId":"`+arn+`"}`, right()), "")
		if got != want {
			t.Errorf("%s: %s, the snapshot has %s", code, got, want)
		}
	}
}
