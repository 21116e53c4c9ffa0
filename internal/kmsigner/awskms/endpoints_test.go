package awskms_test

import (
	"fmt"
	"net"
	"net/http"
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
)

// Each partition has its own ARNs and hosts; FIPS and dual-stack change the
// host. The hosts are those of the SDK's endpoint rules.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct{ region, fips, dual, arn, host string }{
		{"eu-west-1", "", "", "arn:aws:kms:eu-west-1:", "kms.eu-west-1.amazonaws.com"},
		{"eu-west-1", "true", "", "arn:aws:", "kms-fips.eu-west-1.amazonaws.com"},
		{"eu-west-1", "", "true", "arn:aws:", "kms.eu-west-1.api.aws"},
		{"us-east-1", "true", "true", "arn:aws:", "kms-fips.us-east-1.api.aws"},
		{"cn-north-1", "", "", "arn:aws-cn:", "kms.cn-north-1.amazonaws.com.cn"},
		{"us-gov-west-1", "true", "", "arn:aws-us-gov:", "kms-fips.us-gov-west-1.amazonaws.com"},
		{"us-iso-east-1", "", "", "arn:aws-iso:", "kms.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", "", "", "arn:aws-iso-b:", "kms.us-isob-east-1.sc2s.sgov.gov"},
		{"eusc-de-east-1", "", "", "arn:aws-eusc:", "kms.eusc-de-east-1.amazonaws.eu"},
	} {
		t.Run(c.host, func(t *testing.T) {
			start(t)
			os.Unsetenv("AWS_ENDPOINT_URL_KMS")
			t.Setenv("AWS_USE_FIPS_ENDPOINT", c.fips)
			t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", c.dual)
			server := region(t, c.region)
			arn := create(t, server, kmstest.P256)
			var hosts []string
			inner := kmstest.Transport(server)
			client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				return inner.RoundTrip(r)
			})}
			key, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
				t.Error(err)
			}
			if !strings.HasPrefix(key.ID(), c.arn) || len(hosts) != 2 || hosts[0] != c.host || hosts[1] != c.host {
				t.Errorf("%s at %q, want %s… at %s", key.ID(), hosts, c.arn, c.host)
			}
		})
	}
}

// What takes connections and never answers costs the deadline and not the
// minutes that the SDK would spend, for AWS KMS and for the login before it.
func TestSilentEndpoints(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	url := "http://" + silent.Addr().String()
	jwt := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(jwt, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]map[string]string{
		"AWS KMS": {"AWS_ENDPOINT_URL_KMS": url},
		"credentials": {"AWS_ENDPOINT_URL_STS": url, "AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/ci",
			"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			arn := create(t, server, kmstest.P256)
			for name, value := range env {
				t.Setenv(name, value)
			}
			began := time.Now()
			_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{Retry: retry.Policy{Attempts: 2, PerAttempt: 200 * time.Millisecond}})
			wantFault(t, err, fault.Undecided, "timeout", "200ms", name)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Web identity: the token of the file is exchanged once, for the role.
func TestWebIdentity(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	jwt := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(jwt, []byte("the.jwt"), 0o600); err != nil {
		t.Fatal(err)
	}
	exchanges := 0
	sts := listen(t, func(w http.ResponseWriter, r *http.Request) {
		exchanges++
		if r.ParseForm(); r.Form.Get("WebIdentityToken") != "the.jwt" || r.Form.Get("RoleArn") != "arn:aws:iam::111122223333:role/ci" {
			t.Errorf("STS got %v", r.Form)
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
			`<AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/ci/run</Arn><AssumedRoleId>A:run</AssumedRoleId></AssumedRoleUser>`+
			`<Credentials><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>`+
			`<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			secret, token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_STS": sts, "AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/ci",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""} {
		t.Setenv(name, value)
	}
	guarded := guard(t, open(t, "awskms:///"+arn))
	for range 3 {
		if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
			t.Fatal(err)
		}
	}
	if exchanges != 1 {
		t.Errorf("the token was exchanged %d times", exchanges)
	}
	checks := awskms.Examine(t.Context(), "awskms:///"+arn, awskms.Options{})
	wantCheck(t, checks, "credentials", signer.OK, "web identity", "…MPLE", "role/ci")
}
