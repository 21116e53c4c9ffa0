package awskms_test

import (
	"bytes"
	"crypto"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

const (
	secret = "s3cr3tAccessKeyThatMustNotShow/0123456789"
	token  = "s3ss10nT0kenThatMustNotShow0123456789"
)

var quick = retry.Policy{Attempts: 4, PerAttempt: 5 * time.Second, Base: time.Millisecond}

// start runs a service and leads the SDK of this process to it.
func start(t *testing.T) *kmstest.Server {
	t.Helper()
	server, err := kmstest.New(kmstest.Options{SecretAccessKey: secret, SessionToken: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // the SDK takes an empty variable as unset
			os.Unsetenv(name)
		}
	}
	for name, value := range server.Env() {
		t.Setenv(name, value)
	}
	return server
}

func create(t *testing.T, server *kmstest.Server, spec kmstest.Spec) string {
	t.Helper()
	arn, err := server.CreateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func open(t *testing.T, uri string) *awskms.Key {
	t.Helper()
	key, err := awskms.Open(t.Context(), uri, awskms.Options{Retry: quick})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func guard(t *testing.T, key signer.Key) *signer.Signer {
	t.Helper()
	guarded, err := signer.Guard(key, quick)
	if err != nil {
		t.Fatal(err)
	}
	return guarded
}

func wantFault(t *testing.T, err error, outcome fault.Outcome, code string, says ...string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.OutcomeOf(err) != outcome {
		t.Errorf("%v (%s, %s), want %s, %s", err, fault.OutcomeOf(err), fault.CodeOf(err), outcome, code)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	for _, text := range []string{secret, token} {
		if strings.Contains(err.Error(), text) {
			t.Errorf("%s shows a secret", fault.CodeOf(err))
		}
	}
}

var specs = map[kmstest.Spec]signer.Algorithm{
	kmstest.P256:    signer.ECDSASHA256,
	kmstest.P384:    signer.ECDSASHA384,
	kmstest.P521:    signer.ECDSASHA512,
	kmstest.RSA2048: signer.RSAPKCS1SHA256,
	kmstest.RSA3072: signer.RSAPKCS1SHA256,
	kmstest.RSA4096: signer.RSAPKCS1SHA256,
	kmstest.Ed25519: signer.Ed25519,
	kmstest.MLDSA44: signer.MLDSA44,
	kmstest.MLDSA65: signer.MLDSA65,
	kmstest.MLDSA87: signer.MLDSA87,
}

func TestContract(t *testing.T) {
	server := start(t)
	for spec, alg := range specs {
		if testing.Short() && spec == kmstest.RSA4096 {
			continue
		}
		t.Run(string(spec), func(t *testing.T) {
			arn := create(t, server, spec)
			opener := func(t *testing.T) signer.Key { return open(t, "awskms:///"+arn) }
			signertest.Run(t, opener, withPSS(alg), secret, token)
			key := open(t, "awskms:///"+arn)
			if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(server.Public(arn)) {
				t.Error("Public is not the key's public key")
			}
		})
	}
}

// A curve has one hash at AWS, although others would fit it.
func TestHashOfAnotherCurve(t *testing.T) {
	server := start(t)
	for spec, alg := range map[kmstest.Spec]signer.Algorithm{
		kmstest.P256: signer.ECDSASHA384, kmstest.P384: signer.ECDSASHA256, kmstest.P521: signer.ECDSASHA384,
	} {
		_, err := open(t, "awskms:///"+create(t, server, spec)).Sign(t.Context(), alg, []byte("message"))
		wantFault(t, err, fault.Config, "algorithm_unsupported")
	}
	if n := server.Count("Sign"); n != 0 {
		t.Errorf("%d requests for what cannot work", n)
	}
}

func TestEd25519SeesMessage(t *testing.T) {
	server := start(t)
	key := open(t, "awskms:///"+create(t, server, kmstest.Ed25519))
	for _, n := range []int{0, 4096} {
		if _, err := guard(t, key).Sign(t.Context(), signer.Ed25519, make([]byte, n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := key.Sign(t.Context(), signer.Ed25519, nil); err != nil {
		t.Errorf("nil: %v", err)
	}
	before := server.Count("Sign")
	_, err := key.Sign(t.Context(), signer.Ed25519, make([]byte, 4097))
	wantFault(t, err, fault.Config, "message_too_long", "4097", "P-256")
	if server.Count("Sign") != before {
		t.Error("a message that is too long was sent")
	}
}

// An ML-DSA key gets 64 bytes, whatever the message is.
func TestMLDSASeesMu(t *testing.T) {
	server := start(t)
	key := open(t, "awskms:///"+create(t, server, kmstest.MLDSA65))
	for _, n := range []int{0, 4096, 1 << 20} {
		message := bytes.Repeat([]byte("m"), n)
		sig, err := guard(t, key).Sign(t.Context(), signer.MLDSA65, message)
		if err != nil || sig.Algorithm != signer.MLDSA65 {
			t.Errorf("%d bytes: %s, %v", n, sig.Algorithm, err)
		}
	}
	_, err := key.Sign(t.Context(), signer.MLDSA44, nil)
	wantFault(t, err, fault.Config, "algorithm_unsupported", "ML-DSA-65")
}

func TestNames(t *testing.T) {
	server := start(t)
	arn, other := create(t, server, kmstest.P256), create(t, server, kmstest.P256)
	alias := server.Alias("alias/team/release_1", arn)
	id := arn[strings.LastIndex(arn, "/")+1:]
	for _, name := range []string{id, arn, "alias/team/release_1", alias} {
		if key := open(t, "awskms:///"+name); key.ID() != arn {
			t.Errorf("%s: ID %s, want %s", name, key.ID(), arn)
		}
	}
	key := open(t, "awskms:///"+alias)
	server.Alias("alias/team/release_1", other)
	sig, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	if err != nil || sig.KeyID != arn {
		t.Errorf("after the alias moved: signed with %s, %v; want the key resolved at open", sig.KeyID, err)
	}
	requests := server.Requests()
	if last := requests[len(requests)-1]; sig.RequestID == "" || last.RequestID != sig.RequestID {
		t.Errorf("RequestID %q, want %q", sig.RequestID, last.RequestID)
	}
}

func TestRegions(t *testing.T) {
	server := start(t) // of eu-west-1
	arn := create(t, server, kmstest.P256)
	server.Alias("alias/a", arn)
	for name, c := range map[string]struct {
		uri    string
		env    map[string]string
		code   string
		notice string
	}{
		"environment":          {"awskms:///alias/a", map[string]string{"AWS_REGION": "eu-west-1"}, "", ""},
		"default environment":  {"awskms:///alias/a", map[string]string{"AWS_DEFAULT_REGION": "eu-west-1"}, "", ""},
		"first of two":         {"awskms:///alias/a", map[string]string{"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "", ""},
		"query":                {"awskms:///alias/a?region=eu-west-1", nil, "", ""},
		"query wins":           {"awskms:///alias/a?region=eu-west-1", map[string]string{"AWS_REGION": "us-east-1"}, "", ""},
		"ARN":                  {"awskms:///" + arn, nil, "", ""},
		"ARN agrees":           {"awskms:///" + arn + "?region=eu-west-1", map[string]string{"AWS_REGION": "eu-west-1"}, "", ""},
		"ARN wins":             {"awskms:///" + arn, map[string]string{"AWS_REGION": "us-east-1"}, "", "AWS_REGION=us-east-1"},
		"ARN wins, default":    {"awskms:///" + arn, map[string]string{"AWS_DEFAULT_REGION": "us-west-2"}, "", "AWS_DEFAULT_REGION=us-west-2"},
		"none":                 {"awskms:///alias/a", nil, "aws_region_missing", ""},
		"ARN and query differ": {"awskms:///" + arn + "?region=us-east-1", nil, "kms_uri_invalid", ""},
		"wrong":                {"awskms:///alias/a", map[string]string{"AWS_REGION": "us-east-1"}, "aws_credentials_rejected", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "")
			notice := ""
			opts := awskms.Options{Notice: func(text string) { notice += text }, LookupEnv: func(name string) (string, bool) {
				value, ok := c.env[name]
				return value, ok
			}}
			_, err := awskms.Open(t.Context(), c.uri, opts)
			if c.code == "" && err != nil || c.code != "" && fault.CodeOf(err) != c.code {
				t.Errorf("%v, want code %q", err, c.code)
			}
			if notice != c.notice && (c.notice == "" || !strings.Contains(notice, c.notice)) {
				t.Errorf("notice %q, want %q", notice, c.notice)
			}
		})
	}
}

func TestRedirectedTo(t *testing.T) {
	server := start(t)
	uri := "awskms:///" + create(t, server, kmstest.P256)
	profile := filepath.Join(t.TempDir(), "config")
	text := "[profile ci]\nservices = here\n[services here]\nkms =\n  endpoint_url = " + server.URL + "\n"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]map[string]string{
		"AWS_ENDPOINT_URL_KMS": {"AWS_ENDPOINT_URL_KMS": server.URL},
		"AWS_ENDPOINT_URL":     {"AWS_ENDPOINT_URL": server.URL},
		"both":                 {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_KMS": server.URL},
		"profile":              {"AWS_CONFIG_FILE": profile, "AWS_PROFILE": "ci"},
		"user information":     {"AWS_ENDPOINT_URL_KMS": strings.Replace(server.URL, "//", "//user:"+token+"@", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_KMS", "")
			os.Unsetenv("AWS_ENDPOINT_URL_KMS")
			for name, value := range env {
				t.Setenv(name, value)
			}
			if got := guard(t, open(t, uri)).RedirectedTo(); got != server.URL {
				t.Errorf("RedirectedTo %q, want %q", got, server.URL)
			}
		})
	}
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_KMS": "http://user:" + secret + "@host", "AWS_USE_FIPS_ENDPOINT": "true"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := awskms.Open(t.Context(), uri, awskms.Options{Retry: quick})
			wantFault(t, err, fault.Config, "aws_config_invalid")
		})
	}
}

// The host of the URI is reached with https and beats the environment.
func TestHost(t *testing.T) {
	server := start(t)
	secure := httptest.NewTLSServer(server)
	defer secure.Close()
	t.Setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
	host := strings.TrimPrefix(secure.URL, "https://")
	uri := "awskms://" + host + "/" + create(t, server, kmstest.P256)
	key, err := awskms.Open(t.Context(), uri, awskms.Options{HTTPClient: secure.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if key.RedirectedTo() != secure.URL {
		t.Errorf("RedirectedTo %q, want %q", key.RedirectedTo(), secure.URL)
	}
	_, err = awskms.Open(t.Context(), uri, awskms.Options{})
	wantFault(t, err, fault.Undecided, "kms_tls")
}

// Without an override the SDK goes to AWS itself, which a transport that
// answers everything shows without any network.
func TestOwnEndpoint(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	t.Setenv("AWS_ENDPOINT_URL_KMS", "")
	os.Unsetenv("AWS_ENDPOINT_URL_KMS")
	var host string
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		host, r.Host = r.URL.Host, r.URL.Host
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	key, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	if host != "kms.eu-west-1.amazonaws.com" || key.RedirectedTo() != "" {
		t.Errorf("went to %s, RedirectedTo %q; want AWS's own endpoint", host, key.RedirectedTo())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// withPSS adds the other algorithm of RSA keys.
func withPSS(alg signer.Algorithm) []signer.Algorithm {
	if alg == signer.RSAPKCS1SHA256 {
		return []signer.Algorithm{alg, signer.RSAPSSSHA256}
	}
	return []signer.Algorithm{alg}
}
