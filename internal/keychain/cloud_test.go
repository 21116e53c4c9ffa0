package keychain_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/keychain"
)

// cloud answers requests by "METHOD host/path" and records them.
type cloud struct {
	t       *testing.T
	answers map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []string
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.Method + " " + r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
	c.mu.Lock()
	c.seen = append(c.seen, key)
	c.mu.Unlock()
	answer, ok := c.answers[key]
	if !ok {
		c.t.Errorf("surprise request %s", key)
		return nil, io.ErrUnexpectedEOF
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	answer(w, r)
	return w.Result(), nil
}

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://evil.example/")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// allClouds is an environment in which every cloud source is on.
func allClouds(t *testing.T) env {
	key := filepath.Join(t.TempDir(), "google.json")
	write(t, key, `{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}`)
	return env{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "awssecret", "AWS_SESSION_TOKEN": "awssession",
		"GOOGLE_APPLICATION_CREDENTIALS": key,
		"AZURE_TENANT_ID":                "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "azuresecret",
	}
}

const (
	ecrRepo = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app"
	ecrAPI  = "POST https://api.ecr.eu-west-1.amazonaws.com/"
)

func TestNoSurpriseTraffic(t *testing.T) {
	k, _ := fixture(t, keychain.Options{GitHubToken: "t"}, allClouds(t)) // the transport fails the test
	for _, repo := range []string{
		"alpine", "ghcr.io/o/r", "quay.io/o/r", "localhost:5000/r",
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example/r", "dkr.ecr.eu-west-1.amazonaws.com/r",
		"evil-public.ecr.aws/r", "public.ecr.aws.evil.example/r", "xgcr.io/r", "gcr.io.evil.example/r", "evilpkg.dev/r",
		"azurecr.io/r", "x.azurecr.io.evil.example/r", "x.azurecr.io:444/r", "gcr.io:444/r",
	} {
		login(t, k, repo)
	}
	k, _ = fixture(t, keychain.Options{}, env{"AWS_REGION": "eu-west-1", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "CLOUDSDK_CONFIG": "/x"})
	for _, repo := range []string{ecrRepo, "public.ecr.aws/r", "gcr.io/p/r", "europe-docker.pkg.dev/p/r", "x.azurecr.io/r"} {
		want(t, k, repo, "", "anonymous")
	}
}

func ecrAnswer(t *testing.T, service, operation, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(auth, "/"+service+"/aws4_request") ||
			r.Header.Get("X-Amz-Target") != operation || r.Header.Get("X-Amz-Security-Token") != "awssession" {
			t.Errorf("headers %q", r.Header)
		}
		io.WriteString(w, body)
	}
}

func TestECR(t *testing.T) {
	token := base64.StdEncoding.EncodeToString([]byte("AWS:ecrpass"))
	c := &cloud{t: t, answers: map[string]http.HandlerFunc{
		ecrAPI: ecrAnswer(t, "eu-west-1/ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
			`{"authorizationData":[{"authorizationToken":"`+token+`","expiresAt":1}]}`),
		"POST https://api.ecr-public.us-east-1.amazonaws.com/": ecrAnswer(t, "us-east-1/ecr-public", "SpencerFrontendService.GetAuthorizationToken",
			`{"authorizationData":{"authorizationToken":"`+token+`"}}`),
		"POST https://ecr-fips.us-gov-west-1.amazonaws.com/": status(200, `{"authorizationData":[{"authorizationToken":"`+token+`"}]}`),
		"POST https://api.ecr.cn-north-1.amazonaws.com.cn/":  status(200, `{"authorizationData":[{"authorizationToken":"`+token+`"}]}`),
		"POST https://ecr.eu-west-1.api.aws/":                status(200, `{"authorizationData":[{"authorizationToken":"`+token+`"}]}`),
	}}
	k, _ := fixture(t, keychain.Options{Transport: c}, allClouds(t))
	const source = "ECR with AWS credentials of the environment"
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() { login(t, k, fmt.Sprint(ecrRepo, i)) })
	}
	all.Wait()
	if c.count() != 1 {
		t.Errorf("%d requests for one registry", c.count())
	}
	for _, repo := range []string{
		ecrRepo, "public.ecr.aws/r", "111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com/r",
		"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/r", "111122223333.dkr-ecr.eu-west-1.on.aws/r",
	} {
		want(t, k, repo, "AWS:ecrpass", source)
	}
	if c.count() != 5 {
		t.Errorf("%d requests for five registries", c.count())
	}
}

func TestECRKeysInRegistryAuth(t *testing.T) {
	token := base64.StdEncoding.EncodeToString([]byte("AWS:ecrpass"))
	c := &cloud{t: t, answers: map[string]http.HandlerFunc{ecrAPI: func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAOTHER/") {
			t.Errorf("signed by %q", r.Header.Get("Authorization"))
		}
		io.WriteString(w, `{"authorizationData":[{"authorizationToken":"`+token+`"}]}`)
	}}}
	k, _ := fixture(t, keychain.Options{Transport: c,
		RegistryAuth: "- {registry: 111122223333.dkr.ecr.eu-west-1.amazonaws.com, username: AKIAOTHER, password: s}"}, allClouds(t))
	want(t, k, ecrRepo, "AWS:ecrpass", "ECR with registry-auth")
	want(t, k, ecrRepo+"2", "AWS:ecrpass", "ECR with registry-auth")
	if c.count() != 1 {
		t.Errorf("%d requests", c.count())
	}
}

func TestECRFailures(t *testing.T) {
	for name, f := range map[string]struct {
		answer    http.HandlerFunc
		requests  int
		transient bool
		text      string
	}{
		"denied":    {status(400, `{"__type":"com.amazonaws#AccessDeniedException","message":"awssession hunter2"}`), 1, false, "AccessDeniedException"},
		"throttled": {status(429, ""), 6, true, "status 429"},
		"down":      {status(503, "hunter2"), 6, true, "status 503"},
		"redirect":  {status(307, ""), 1, false, "status 307"},
		"html":      {status(200, "<hunter2>"), 1, false, "JSON"},
		"no token":  {status(200, `{}`), 1, false, "malformed"},
		"no colon":  {status(200, `{"authorizationData":[{"authorizationToken":"aHVudGVyMg=="}]}`), 1, false, "malformed"},
	} {
		c := &cloud{t: t, answers: map[string]http.HandlerFunc{ecrAPI: f.answer}}
		k, _ := fixture(t, keychain.Options{Transport: c}, allClouds(t))
		for range 2 { // a lasting failure is remembered, one that may pass is not
			_, err := k.Resolve(repository(t, ecrRepo))
			wantCode(t, err, "ecr_credentials", "hunter2", "awssecret", "awssession")
			if fault.OutcomeOf(err) != fault.Undecided || fault.IsTransient(err) != f.transient || !strings.Contains(err.Error(), f.text) {
				t.Errorf("%s: %v, transient %v", name, err, fault.IsTransient(err))
			}
		}
		if c.count() != f.requests {
			t.Errorf("%s: %d requests", name, c.count())
		}
	}
}

func TestPublicECRWithoutPermissionIsAnonymous(t *testing.T) {
	c := &cloud{t: t, answers: map[string]http.HandlerFunc{
		"POST https://api.ecr-public.us-east-1.amazonaws.com/": status(400, `{"__type":"AccessDeniedException"}`)}}
	k, _ := fixture(t, keychain.Options{Transport: c}, allClouds(t))
	want(t, k, "public.ecr.aws/r", "", "anonymous")
	if skipped := k.Skipped("public.ecr.aws"); len(skipped) != 1 || fault.CodeOf(skipped[0]) != "ecr_credentials" {
		t.Errorf("skipped %v", skipped)
	}
}

func TestECRWithAProfileThatIsNotThere(t *testing.T) {
	t.Setenv("AWS_PROFILE", "signgate-test-none")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	k, _ := fixture(t, keychain.Options{}, env{"AWS_PROFILE": "signgate-test-none"})
	_, err := k.Resolve(repository(t, ecrRepo))
	wantCode(t, err, "ecr_credentials")
}

func TestGoogle(t *testing.T) {
	c := &cloud{t: t, answers: map[string]http.HandlerFunc{
		"POST https://oauth2.googleapis.com/token": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"gtoken","expires_in":3600,"token_type":"Bearer"}`)
		}}}
	k, _ := fixture(t, keychain.Options{Transport: c}, allClouds(t))
	want(t, k, "europe-docker.pkg.dev/p/r/i", "oauth2accesstoken:gtoken", "Google credentials of GOOGLE_APPLICATION_CREDENTIALS")
	want(t, k, "europe-docker.pkg.dev/p/r/j", "oauth2accesstoken:gtoken", "Google credentials of GOOGLE_APPLICATION_CREDENTIALS")
	if c.count() != 1 {
		t.Errorf("%d requests", c.count())
	}
	want(t, k, "eu.gcr.io/p/i", "oauth2accesstoken:gtoken", "Google credentials of GOOGLE_APPLICATION_CREDENTIALS")
}

func TestGoogleFailures(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"gce.json":  `{"type":"gce"}`,
		"not.json":  `hunter2`,
		"half.json": `{"type":"service_account","private_key":"hunter2"}`,
		"user.json": `{"type":"authorized_user","client_id":"c","client_secret":"hunter2","refresh_token":"hunter2"}`,
	}
	for file, text := range files {
		write(t, filepath.Join(dir, file), text)
	}
	files["none.json"] = ""
	for file := range files {
		c := &cloud{t: t, answers: map[string]http.HandlerFunc{"POST https://oauth2.googleapis.com/token": status(400, `{"error":"invalid_grant","error_description":"hunter2"}`)}}
		k, _ := fixture(t, keychain.Options{Transport: c}, env{"GOOGLE_GHA_CREDS_PATH": filepath.Join(dir, file)})
		_, err := k.Resolve(repository(t, "gcr.io/p/r"))
		wantCode(t, err, "google_credentials", "hunter2")
	}
}

func form(t *testing.T, want map[string]string, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		for name, value := range want {
			if r.PostForm.Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", r.URL.Host, name, r.PostForm.Get(name), value)
			}
		}
		io.WriteString(w, answer)
	}
}

func TestAzure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, "federated\n")
	base := env{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
	for proof, c := range map[string]struct {
		extra env
		want  map[string]string
	}{
		"AZURE_CLIENT_SECRET":          {env{"AZURE_CLIENT_SECRET": "s"}, map[string]string{"client_secret": "s"}},
		"AZURE_FEDERATED_TOKEN_FILE":   {env{"AZURE_FEDERATED_TOKEN_FILE": file}, map[string]string{"client_assertion": "federated"}},
		"ACTIONS_ID_TOKEN_REQUEST_URL": {env{"ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner.example/token?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "rt"}, map[string]string{"client_assertion": "oidc"}},
	} {
		c.want["client_id"], c.want["grant_type"], c.want["scope"] = "client", "client_credentials", "https://containerregistry.azure.net/.default"
		web := &cloud{t: t, answers: map[string]http.HandlerFunc{
			"POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token": form(t, c.want, `{"access_token":"aad"}`),
			"POST https://my.azurecr.io/oauth2/exchange": form(t, map[string]string{
				"grant_type": "access_token", "service": "my.azurecr.io", "tenant": "tenant", "access_token": "aad"}, `{"refresh_token":"acr"}`),
			"GET https://runner.example/token": func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer rt" || r.URL.Query().Get("audience") != "api://AzureADTokenExchange" || r.URL.Query().Get("v") != "1" {
					t.Errorf("OIDC request %s", r.URL)
				}
				json.NewEncoder(w).Encode(map[string]string{"value": "oidc"})
			},
		}}
		e := env{}
		for _, part := range []env{base, c.extra} {
			for k, v := range part {
				e[k] = v
			}
		}
		k, _ := fixture(t, keychain.Options{Transport: web}, e)
		want(t, k, "my.azurecr.io/r", "00000000-0000-0000-0000-000000000000:acr", "Azure with "+proof)
		want(t, k, "my.azurecr.io/s", "00000000-0000-0000-0000-000000000000:acr", "Azure with "+proof)
	}
}

func TestAzureFailures(t *testing.T) {
	aad := "POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
	for name, c := range map[string]struct {
		extra   env
		answers map[string]http.HandlerFunc
		text    string
	}{
		"refused":   {env{}, map[string]http.HandlerFunc{aad: status(401, `{"error":"invalid_client","error_description":"hunter2"}`)}, "invalid_client"},
		"no token":  {env{}, map[string]http.HandlerFunc{aad: status(200, `{}`)}, "no token"},
		"registry":  {env{}, map[string]http.HandlerFunc{aad: status(200, `{"access_token":"hunter2"}`), "POST https://my.azurecr.io/oauth2/exchange": status(403, "")}, "my.azurecr.io answered"},
		"authority": {env{"AZURE_AUTHORITY_HOST": "http://evil.example"}, nil, "https"},
	} {
		e := env{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "azuresecret"}
		for k, v := range c.extra {
			e[k] = v
		}
		k, _ := fixture(t, keychain.Options{Transport: &cloud{t: t, answers: c.answers}}, e)
		_, err := k.Resolve(repository(t, "my.azurecr.io/r"))
		wantCode(t, err, "azure_credentials", "hunter2", "azuresecret")
		if !strings.Contains(err.Error(), c.text) || fault.IsTransient(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsWrittenToHome(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	token := base64.StdEncoding.EncodeToString([]byte("AWS:ecrpass"))
	c := &cloud{t: t, answers: map[string]http.HandlerFunc{ecrAPI: status(200, `{"authorizationData":[{"authorizationToken":"`+token+`"}]}`)}}
	e := allClouds(t)
	e["HOME"] = dir
	k, _ := fixture(t, keychain.Options{Transport: c}, e)
	login(t, k, ecrRepo)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("HOME holds %v, %v", entries, err)
	}
}
