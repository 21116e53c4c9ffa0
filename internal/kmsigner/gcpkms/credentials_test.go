package gcpkms_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

const credentials = "GOOGLE_APPLICATION_CREDENTIALS"

// TestCredentials: each kind of file gives a token, which is masked before it
// is used, and so is what is secret in the file.
func TestCredentials(t *testing.T) {
	for kind, masked := range map[gcptest.Kind][]string{
		gcptest.Federated: {token, gcptest.OIDCRequestToken}, gcptest.Impersonated: {token, gcptest.OIDCRequestToken}, gcptest.Login: {token, gcptest.RefreshToken, gcptest.ClientSecret},
	} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t)
			var got []string
			s.Mask = func(secrets ...string) { got = append(got, secrets...) }
			s.env[credentials] = write(t, s.Credentials(kind))
			key := s.open(t, s.create(t, gcptest.P256))
			if _, err := key.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil {
				t.Error(err)
			}
			slices.Sort(got)
			slices.Sort(masked)
			if !slices.Equal(got, masked) {
				t.Errorf("%d values were masked, want %d", len(got), len(masked))
			}
		})
	}
}

func TestCredentialVariables(t *testing.T) {
	s := start(t)
	name, path := s.create(t, gcptest.P256), s.env[credentials]
	for _, variable := range []string{credentials, "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "GOOGLE_GHA_CREDS_PATH"} {
		delete(s.env, credentials)
		s.env[variable] = "/home/runner/work/app/app/" + filepath.Base(path)
		s.TranslatePath = func(host string) string {
			return filepath.Join(filepath.Dir(path), strings.TrimPrefix(host, "/home/runner/work/app/app/"))
		}
		if _, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
		delete(s.env, variable)
	}
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
	wantFault(t, err, fault.Config, "google_credentials_missing", "id-token: write", "google-github-actions/auth", "actions/checkout", "?metadata=true")
}

func TestCredentialFiles(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	for about, c := range map[string]struct{ path, code, says string }{
		"not there":        {"/does/not/exist/MustNotShow", "google_credentials_missing", "after actions/checkout"},
		"a folder":         {t.TempDir(), "google_credentials_invalid", "cannot be read"},
		"text, not a path": {`{"type":"authorized_user","refresh_token":"MustNotShow"}`, "google_credentials_invalid", "not its path"},
		"not JSON":         {write(t, []byte("MustNotShow")), "google_credentials_invalid", "JSON object"},
		"twice":            {write(t, []byte(`{"type":"authorized_user","type":"external_account"}`)), "google_credentials_invalid", "JSON object"},
		"no type":          {write(t, []byte(`{}`)), "google_credentials_invalid", "type"},
		"another type":     {write(t, []byte(`{"type":"MustNotShow"}`)), "google_credentials_invalid", "type"},
		"incomplete":       {write(t, []byte(`{"type":"external_account"}`)), "google_credentials_invalid", "complete"},
		"bad key":          {write(t, []byte(`{"type":"service_account","private_key":"MustNotShow","client_email":"a@b"}`)), "google_credentials_failed", "not usable"},
		"too large":        {write(t, make([]byte, 1<<20+1)), "google_credentials_invalid", "cannot be read"},
		"another cloud":    {write(t, []byte(`{"type":"external_account","universe_domain":"example.com"}`)), "google_credentials_invalid", "googleapis.com"},
	} {
		t.Run(about, func(t *testing.T) {
			o, env := s.Options, map[string]string{credentials: c.path, "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": s.URL}
			if about == "another cloud" {
				delete(env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS")
			}
			o.LookupEnv = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
			_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, o)
			outcome := fault.Config
			if c.code == "google_credentials_failed" {
				outcome = fault.Undecided
			}
			wantFault(t, err, outcome, c.code, c.says, credentials)
		})
	}
	if os.Getuid() != 0 {
		path := write(t, nil)
		os.Chmod(path, 0)
		s.env[credentials] = path
		_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
		wantFault(t, err, fault.Config, "google_credentials_invalid", "cannot be read")
	}
}

// TestTokenHosts: what the token hosts do wrong. Their refusals quote the
// request with all its secrets.
func TestTokenHosts(t *testing.T) {
	for _, kind := range []gcptest.Kind{gcptest.Federated, gcptest.Impersonated, gcptest.Login} {
		for about, c := range map[string]struct {
			faults []gcptest.Fault
			code   string
			says   string
		}{
			"refused":        {gcptest.Times(9, gcptest.Fail("PERMISSION_DENIED", "")), "google_credentials_failed", "answered with status 403"},
			"busy for long":  {gcptest.Times(9, gcptest.LoadBalancer(503)), "google_credentials_failed", "answered with status 503"},
			"busy once":      {gcptest.Times(1, gcptest.LoadBalancer(503)), "", ""},
			"throttled once": {gcptest.Times(1, gcptest.LoadBalancer(429)), "", ""},
		} {
			t.Run(string(kind)+" "+about, func(t *testing.T) {
				s := start(t)
				s.env[credentials] = write(t, s.Credentials(kind))
				s.Inject("token", c.faults...)
				_, err := gcpkms.Open(t.Context(), "gcpkms://"+s.create(t, gcptest.P256), s.Options)
				if c.code == "" && err != nil {
					t.Error(err)
				} else if c.code != "" {
					wantFault(t, err, fault.Undecided, c.code, c.says, strings.TrimPrefix(s.URL, "http://"), credentials)
				}
			})
		}
	}
}

func TestTokenHang(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	s.Inject("token", gcptest.Hang())
	s.Retry = retry.Policy{Attempts: 1}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := gcpkms.Open(ctx, "gcpkms://"+name, s.Options)
	wantFault(t, err, fault.Undecided, "timeout", name)
}

func TestTokenHostUnreachable(t *testing.T) {
	s, other := start(t), start(t)
	s.env[credentials] = write(t, other.Credentials(gcptest.Federated))
	other.Close()
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+s.create(t, gcptest.P256), s.Options)
	wantFault(t, err, fault.Undecided, "google_credentials_failed", "did not answer", "refused")
	if !fault.IsTransient(err) {
		t.Error("it is not transient")
	}
}

// TestQuotaProject: a login names the project whose quota is used.
func TestQuotaProject(t *testing.T) {
	s := start(t)
	var sent string
	s.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if project := r.Header.Get("X-Goog-User-Project"); project != "" {
			sent = project
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	file := strings.Replace(string(s.Credentials(gcptest.Login)), "{", `{"quota_project_id":"acme-billing",`, 1)
	s.env[credentials] = write(t, []byte(file))
	s.open(t, s.create(t, gcptest.P256))
	if sent != "acme-billing" {
		t.Errorf("X-Goog-User-Project %q", sent)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestMetadata: the metadata server is asked only when the key says so.
func TestMetadata(t *testing.T) {
	s := start(t)
	asked := 0
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Metadata-Flavor", "Google")
		w.Write([]byte(`{"access_token":"` + token + `","token_type":"Bearer","expires_in":3600}`))
	}))
	defer metadata.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	delete(s.env, credentials)
	name := s.create(t, gcptest.P256)
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+name+"?metadata=false", s.Options)
	wantFault(t, err, fault.Config, "google_credentials_missing")
	if asked != 0 {
		t.Fatal("the metadata server was asked")
	}
	if _, err := gcpkms.Open(t.Context(), "gcpkms://"+name+"?metadata=true", s.Options); err != nil || asked == 0 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
