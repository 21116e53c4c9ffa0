package awskms_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/signer"
)

func listen(t *testing.T, f http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

// wantCheck wants exactly one line of the name.
func wantCheck(t *testing.T, checks []signer.Check, name string, status signer.Status, says ...string) {
	t.Helper()
	i := slices.IndexFunc(checks, func(c signer.Check) bool { return c.Name == name })
	if i < 0 {
		t.Errorf("no line %q in %+v", name, checks)
		return
	}
	c := checks[i]
	if c.Status != status || (c.Next == "") != (status == signer.OK) {
		t.Errorf("%+v, want %s and a next step unless that is ok", c, status)
	}
	for _, text := range says {
		if !strings.Contains(c.Fact+"; "+c.Next, text) {
			t.Errorf("%+v does not say %q", c, text)
		}
	}
}

// noLeak: no line holds a secret, and none is said twice.
func noLeak(t *testing.T, checks []signer.Check) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range checks {
		if strings.Contains(c.Fact+c.Next, secret) || strings.Contains(c.Fact+c.Next, token) {
			t.Errorf("the line %s shows a secret", c.Name)
		}
		if seen[c.Name] {
			t.Errorf("two lines %s", c.Name)
		}
		seen[c.Name] = true
	}
}

func TestExamine(t *testing.T) {
	server := start(t)
	for spec, alg := range map[kmstest.Spec]string{kmstest.P256: "ECDSA_SHA_256 (DIGEST)", kmstest.RSA2048: "RSASSA_PKCS1_V1_5_SHA_256 (DIGEST)",
		kmstest.Ed25519: "ED25519_SHA_512 (RAW)", kmstest.MLDSA87: "ML_DSA_SHAKE_256 (EXTERNAL_MU)"} {
		arn := create(t, server, spec)
		alias := server.Alias("alias/release", arn)
		checks := awskms.Examine(t.Context(), "awskms:///"+alias, awskms.Options{Retry: quick})
		noLeak(t, checks)
		wantCheck(t, checks, "credentials", signer.OK, "from the environment", "…MPLE", "temporary")
		wantCheck(t, checks, "region", signer.OK, "eu-west-1, from the key's ARN")
		wantCheck(t, checks, "endpoint", signer.Warn, server.URL, "expected-key")
		wantCheck(t, checks, "key", signer.OK, arn, "alias/release")
		wantCheck(t, checks, "key spec", signer.OK, string(spec), "SIGN_VERIFY")
		wantCheck(t, checks, "state", signer.OK, "Enabled")
		wantCheck(t, checks, "multi-Region", signer.OK, "no")
		fingerprint, _ := signer.Fingerprint(server.Public(arn))
		wantCheck(t, checks, "public key", signer.OK, fingerprint)
		wantCheck(t, checks, "permission to sign", signer.OK, alg)
	}
	for _, r := range server.Requests() {
		if r.Operation == "Sign" && r.Error != "DryRunOperationException" {
			t.Error("doctor signed something")
		}
	}
}

func TestExamineStates(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	for state, next := range map[kmstest.State]string{kmstest.Disabled: "enable-key", kmstest.PendingDeletion: "cancel-key-deletion",
		kmstest.PendingReplicaDeletion: "cancel-key-deletion", kmstest.Creating: "wait", kmstest.PendingImport: "Enabled"} {
		server.SetState(arn, state)
		checks := awskms.Examine(t.Context(), "awskms:///"+arn, awskms.Options{})
		noLeak(t, checks)
		wantCheck(t, checks, "key", signer.OK, arn)
		wantCheck(t, checks, "key spec", signer.OK, "ECC_NIST_P256")
		wantCheck(t, checks, "state", signer.Fail, string(state), next)
		wantCheck(t, checks, "public key", signer.Fail, arn)
		wantCheck(t, checks, "permission to sign", signer.Fail, arn)
	}
}

// Each permission is missing by itself.
func TestExaminePermissions(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	uri := "awskms:///" + arn
	for operation, names := range map[string][3]signer.Status{ // state, public key, permission to sign
		"DescribeKey":  {signer.Warn, signer.OK, signer.OK},
		"GetPublicKey": {signer.OK, signer.Fail, signer.OK},
		"Sign":         {signer.OK, signer.OK, signer.Fail},
	} {
		server.Inject(operation, kmstest.Deny())
		checks := awskms.Examine(t.Context(), uri, awskms.Options{Retry: quick})
		for i, name := range []string{"state", "public key", "permission to sign"} {
			var says []string
			if names[i] != signer.OK {
				says = []string{"kms:" + operation}
			}
			wantCheck(t, checks, name, names[i], says...)
		}
	}
	server.Inject("DescribeKey", kmstest.Deny())
	server.Inject("GetPublicKey", kmstest.Deny())
	checks := awskms.Examine(t.Context(), uri, awskms.Options{})
	wantCheck(t, checks, "permission to sign", signer.Warn, "not tried")
}

// What ends the examination early, and on which line.
func TestExamineEnds(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	missing := arn[:len(arn)-12] + "000000000000"
	for name, c := range map[string]struct {
		uri, line, says string
		env             map[string]string
		faults          []kmstest.Fault
	}{
		"URI":            {"awskms:///release", "key", "not understood", nil, nil},
		"Region":         {"awskms:///alias/a", "region", "AWS_REGION", map[string]string{"AWS_REGION": ""}, nil},
		"no credentials": {"awskms:///" + arn, "credentials", "id-token: write", map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}, nil},
		"bad secret":     {"awskms:///" + arn, "login", "does not accept", map[string]string{"AWS_SECRET_ACCESS_KEY": "x"}, nil},
		"FIPS":           {"awskms:///" + arn, "endpoint", "FIPS", map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, nil},
		"away":           {"awskms:///" + arn, "connection", "connection refused", map[string]string{"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:1"}, nil},
		"missing":        {"awskms:///" + missing, "key", "does not exist", nil, nil},
		"single":         {"awskms:///" + arn + failover, "failover", "multi-Region", nil, nil},
		"another key":    {"awskms:///" + arn, "key", "another key", nil, []kmstest.Fault{kmstest.OtherKey(create(t, server, kmstest.P256))}},
		"expired":        {"awskms:///" + arn, "login", "expired", nil, []kmstest.Fault{kmstest.Expire()}},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			server.Inject("DescribeKey", c.faults...)
			checks := awskms.Examine(t.Context(), c.uri, awskms.Options{})
			noLeak(t, checks)
			last := checks[len(checks)-1]
			if last.Name != c.line || last.Status != signer.Fail || !strings.Contains(last.Fact+"; "+last.Next, c.says) {
				t.Errorf("ends with %+v, want %s that says %q", last, c.line, c.says)
			}
		})
	}
}

// Keys that signgate does not sign with are described all the same.
func TestExamineOtherKeys(t *testing.T) {
	server := start(t)
	checks := awskms.Examine(t.Context(), "awskms:///"+create(t, server, kmstest.Symmetric), awskms.Options{})
	wantCheck(t, checks, "key spec", signer.Fail, "ENCRYPT_DECRYPT", "SIGN_VERIFY")
	wantCheck(t, checks, "public key", signer.Fail, "asymmetric")
	wantCheck(t, checks, "permission to sign", signer.Warn, "not tried")
}

func TestExamineLongLivedKeys(t *testing.T) {
	server, err := kmstest.New(kmstest.Options{SecretAccessKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	start(t)
	for name, value := range server.Env() {
		t.Setenv(name, value)
	}
	checks := awskms.Examine(t.Context(), "awskms:///"+create(t, server, kmstest.P256), awskms.Options{})
	wantCheck(t, checks, "credentials", signer.Warn, "without an end", "OIDC")
}

// An endpoint that signs in place of a dry run is no AWS KMS.
func TestExamineWithoutDryRun(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Sign") {
			return http.DefaultTransport.RoundTrip(r)
		}
		w := httptest.NewRecorder()
		w.WriteString(`{"KeyId":"` + arn + `","Signature":"AA==","SigningAlgorithm":"ECDSA_SHA_256"}`)
		return w.Result(), nil
	})}
	checks := awskms.Examine(t.Context(), "awskms:///"+arn, awskms.Options{HTTPClient: client})
	wantCheck(t, checks, "permission to sign", signer.Warn, "it signed")
}

func TestExamineFailover(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	uri := "awskms:///" + w.arn + failover
	checks := awskms.Examine(t.Context(), uri, w.options())
	noLeak(t, checks)
	wantCheck(t, checks, "endpoint", signer.OK, "https://kms.eu-west-1.amazonaws.com")
	wantCheck(t, checks, "multi-Region", signer.OK, "primary in eu-west-1, replica in us-east-1, replica in eu-central-1")
	wantCheck(t, checks, "failover to us-east-1", signer.OK, "dry run")
	wantCheck(t, checks, "failover to eu-central-1", signer.OK, "dry run")
	w.second.SetState(w.arn[strings.LastIndex(w.arn, "/")+1:], kmstest.Disabled)
	w.third.Inject("Sign", kmstest.Deny())
	checks = awskms.Examine(t.Context(), uri, w.options())
	wantCheck(t, checks, "permission to sign", signer.OK)
	wantCheck(t, checks, "failover to us-east-1", signer.Fail, "is disabled")
	wantCheck(t, checks, "failover to eu-central-1", signer.Fail, "kms:Sign")
	checks = awskms.Examine(t.Context(), "awskms:///"+w.arn+"?failover=us-west-2", w.options())
	wantCheck(t, checks, "multi-Region", signer.Fail, "none in us-west-2", "replicate-key")
	wantCheck(t, checks, "failover to us-west-2", signer.Fail)
	w.first.SetState(w.arn, kmstest.Disabled)
	checks = awskms.Examine(t.Context(), uri, w.options())
	wantCheck(t, checks, "failover to us-east-1", signer.Warn, "not examined")
	if _, ok := os.LookupEnv("AWS_ENDPOINT_URL_KMS"); ok {
		t.Error("the test had an endpoint override")
	}
}
