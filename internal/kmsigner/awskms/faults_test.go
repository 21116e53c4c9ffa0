package awskms_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// The fault matrix: what the service does wrong while it signs, how it
// ends behind the guard, and how many requests that takes.
func TestSignFaults(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	other := create(t, server, kmstest.P256)
	guarded := guard(t, open(t, "awskms:///"+arn))
	for name, c := range map[string]struct {
		faults  []kmstest.Fault
		outcome fault.Outcome
		code    string
		says    string
		calls   int
	}{
		"throttled, then not":  {kmstest.Times(3, kmstest.Throttle()), fault.Passed, "", "", 4},
		"throttled for long":   {kmstest.Times(4, kmstest.Throttle()), fault.Undecided, "kms_throttled", "request quota", 4},
		"internal fault":       {kmstest.Times(1, kmstest.Internal()), fault.Passed, "", "", 2},
		"internal for long":    {kmstest.Times(4, kmstest.Internal()), fault.Undecided, "kms_unavailable", "KMSInternalException", 4},
		"load balancer":        {kmstest.Times(1, kmstest.Unavailable()), fault.Passed, "", "", 2},
		"truncated":            {kmstest.Times(1, kmstest.Truncate()), fault.Passed, "", "", 2},
		"truncated for long":   {kmstest.Times(4, kmstest.Truncate()), fault.Undecided, "kms_unavailable", "did not answer", 4},
		"key unavailable":      {kmstest.Times(1, kmstest.Fail("KeyUnavailableException", "")), fault.Passed, "", "", 2},
		"dependency":           {kmstest.Times(1, kmstest.Fail("DependencyTimeoutException", "")), fault.Passed, "", "", 2},
		"a mix":                {[]kmstest.Fault{kmstest.Throttle(), kmstest.Internal(), kmstest.Truncate()}, fault.Passed, "", "", 4},
		"denied":               {kmstest.Times(1, kmstest.Deny()), fault.Undecided, "kms_access_denied", "kms:Sign", 1},
		"validation":           {kmstest.Times(1, kmstest.Fail("ValidationException", "no")), fault.Config, "kms_invalid_usage", "ECC_NIST_P256", 1},
		"unknown code":         {kmstest.Times(1, kmstest.Fail("NewException", "what\nis this")), fault.Undecided, "kms_unexpected", "what is this (NewException, request ", 1},
		"expired token":        {kmstest.Times(1, kmstest.Fail("ExpiredTokenException", token)), fault.Undecided, "aws_credentials_expired", "configure-aws-credentials", 1},
		"repeats the token":    {kmstest.Times(1, kmstest.Fail("InvalidSignatureException", token)), fault.Undecided, "aws_credentials_rejected", "does not accept", 1},
		"clock":                {kmstest.Times(1, kmstest.Fail("InvalidSignatureException", "Signature expired: x")), fault.Undecided, "aws_credentials_rejected", "clock", 1},
		"another key":          {kmstest.Times(1, kmstest.OtherKey(other)), fault.Refused, "key_mismatch", other, 1},
		"another name":         {kmstest.Times(1, kmstest.Edit("KeyId", other)), fault.Refused, "key_mismatch", other, 1},
		"another algorithm":    {kmstest.Times(1, kmstest.Edit("SigningAlgorithm", "ECDSA_SHA_512")), fault.Refused, "key_mismatch", "ecdsa-sha512", 1},
		"unknown algorithm":    {kmstest.Times(1, kmstest.Edit("SigningAlgorithm", "SM2DSA")), fault.Refused, "key_mismatch", "SM2DSA", 1},
		"corrupted signature":  {kmstest.Times(1, kmstest.CorruptSignature()), fault.Refused, "bad_signature", "does not verify", 1},
		"no signature":         {kmstest.Times(1, kmstest.Edit("Signature", "")), fault.Refused, "bad_signature", "does not verify", 1},
		"another key's, named": {[]kmstest.Fault{kmstest.Edit("Signature", "MAA=")}, fault.Refused, "bad_signature", "does not verify", 1},
		"pending deletion": {kmstest.Times(1, kmstest.Fail("DisabledException", arn+" is pending deletion.")),
			fault.Refused, "kms_key_disabled", "cancel the deletion", 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := server.Count("Sign")
			server.Inject("Sign", c.faults...)
			_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
			if calls := server.Count("Sign") - before; calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

func TestStates(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	guarded := guard(t, open(t, "awskms:///"+arn))
	for state, c := range map[kmstest.State]struct {
		outcome    fault.Outcome
		code, says string
	}{
		kmstest.Disabled:         {fault.Refused, "kms_key_disabled", "is disabled (DisabledException, request "},
		kmstest.PendingDeletion:  {fault.Refused, "kms_key_disabled", "is pending deletion (KMSInvalidStateException, request "},
		kmstest.PendingImport:    {fault.Refused, "kms_key_disabled", "is pending import"},
		kmstest.StateUnavailable: {fault.Refused, "kms_key_disabled", "is unavailable"},
		kmstest.Creating:         {fault.Undecided, "kms_unavailable", "is still being created"},
	} {
		server.SetState(arn, state)
		_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
		wantFault(t, err, c.outcome, c.code, c.says, arn)
		_, err = awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{Retry: quick})
		wantFault(t, err, c.outcome, c.code, c.says, arn)
	}
	// A new replica becomes usable while the guard waits.
	time.AfterFunc(20*time.Millisecond, func() { server.SetState(arn, kmstest.Enabled) })
	patient, err := signer.Guard(open2(t, server, arn), retry.Policy{Attempts: 100, Base: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := patient.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Error(err)
	}
}

// open2 opens a key that is still being created.
func open2(t *testing.T, server *kmstest.Server, arn string) *awskms.Key {
	t.Helper()
	server.SetState(arn, kmstest.Creating)
	key, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{Retry: retry.Policy{Attempts: 100, Base: 5 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOpenFaults(t *testing.T) {
	server := start(t)
	arn, encrypts := create(t, server, kmstest.P256), create(t, server, kmstest.RSA2048)
	other, mldsa, symmetric := create(t, server, kmstest.P256), create(t, server, kmstest.MLDSA44), create(t, server, kmstest.Symmetric)
	server.SetUsage(encrypts, "ENCRYPT_DECRYPT")
	alias := server.Alias("alias/release", arn)
	missing := arn[:len(arn)-12] + "000000000000"
	for name, c := range map[string]struct {
		key     string
		faults  []kmstest.Fault
		outcome fault.Outcome
		code    string
		says    string
	}{
		"fine":                {arn, nil, fault.Passed, "", ""},
		"throttled":           {arn, kmstest.Times(2, kmstest.Throttle()), fault.Passed, "", ""},
		"no key":              {missing, nil, fault.Config, "kms_key_not_found", "does not exist"},
		"no alias":            {"alias/none", nil, fault.Config, "kms_key_not_found", "alias/none is not found"},
		"no such account":     {strings.Replace(arn, "111122223333", "444455556666", 1), nil, fault.Config, "kms_key_not_found", "444455556666"},
		"usage":               {encrypts, nil, fault.Config, "kms_invalid_usage", "ENCRYPT_DECRYPT"},
		"symmetric":           {symmetric, nil, fault.Config, "kms_invalid_usage", "asymmetric"},
		"bad ARN":             {arn, []kmstest.Fault{kmstest.Fail("InvalidArnException", "")}, fault.Config, "kms_uri_invalid", "InvalidArnException"},
		"denied":              {arn, []kmstest.Fault{kmstest.Deny()}, fault.Undecided, "kms_access_denied", "kms:GetPublicKey"},
		"another key, ARN":    {arn, []kmstest.Fault{kmstest.OtherKey(other)}, fault.Refused, "key_mismatch", other},
		"another account":     {alias, []kmstest.Fault{kmstest.Edit("KeyId", strings.Replace(arn, "1111", "2222", 1))}, fault.Refused, "key_mismatch", "2222"},
		"an alias for an ARN": {alias, []kmstest.Fault{kmstest.Edit("KeyId", alias)}, fault.Refused, "key_mismatch", alias},
		"another Region":      {"alias/release", []kmstest.Fault{kmstest.Edit("KeyId", strings.Replace(arn, "eu-west-1", "us-east-1", 1))}, fault.Refused, "key_mismatch", "us-east-1"},
		"no ARN":              {arn, []kmstest.Fault{kmstest.Edit("KeyId", "")}, fault.Refused, "key_mismatch", ""},
		"secp256k1":           {arn, []kmstest.Fault{kmstest.Edit("KeySpec", "ECC_SECG_P256K1")}, fault.Config, "key_type_unsupported", "ECC_SECG_P256K1"},
		"SM2":                 {arn, []kmstest.Fault{kmstest.Edit("KeySpec", "SM2")}, fault.Config, "key_type_unsupported", "SM2"},
		"not ML-DSA":          {arn, []kmstest.Fault{kmstest.Edit("KeySpec", "ML_DSA_65")}, fault.Undecided, "kms_unexpected", "ML_DSA_65"},
		"other ML-DSA":        {mldsa, []kmstest.Fault{kmstest.Edit("KeySpec", "ML_DSA_65")}, fault.Undecided, "kms_unexpected", "ML_DSA_65"},
		"other spec":          {arn, []kmstest.Fault{kmstest.Edit("KeySpec", "ECC_NIST_P384")}, fault.Undecided, "kms_unexpected", "ECC_NIST_P384"},
		"no public key":       {arn, []kmstest.Fault{kmstest.Edit("PublicKey", "AAAA")}, fault.Undecided, "kms_unexpected", "key spec"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Inject("GetPublicKey", c.faults...)
			_, err := awskms.Open(t.Context(), "awskms:///"+c.key, awskms.Options{Retry: quick})
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
}

// A key that lists only ED25519_PH_SHA_512, which hashes twice, signs nothing.
func TestListedAlgorithmsDecide(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.Ed25519)
	server.Inject("GetPublicKey", kmstest.Edit("SigningAlgorithms", []string{"ED25519_PH_SHA_512"}))
	_, err := open(t, "awskms:///"+arn).Sign(t.Context(), signer.Ed25519, []byte("message"))
	wantFault(t, err, fault.Config, "algorithm_unsupported")
}

func TestHang(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	key := open(t, "awskms:///"+arn)
	hasty, err := signer.Guard(key, retry.Policy{Attempts: 2, PerAttempt: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server.Inject("Sign", kmstest.Hang())
	if _, err := hasty.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Errorf("one hanging attempt: %v", err)
	}
	server.Inject("Sign", kmstest.Times(2, kmstest.Hang())...)
	_, err = hasty.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "timeout", "100ms")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	server.Inject("Sign", kmstest.Hang())
	_, err = key.Sign(ctx, signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "timeout", "AWS KMS in eu-west-1 gave no answer for Sign")
	ctx, cancel = context.WithCancel(t.Context())
	server.Inject("GetPublicKey", kmstest.Hang())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = awskms.Open(ctx, "awskms:///"+arn, awskms.Options{Retry: quick})
	wantFault(t, err, fault.Undecided, "interrupted", "cut short")
}

func TestCredentials(t *testing.T) {
	none := map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
	with := func(more map[string]string) map[string]string {
		for name, value := range none {
			if _, ok := more[name]; !ok {
				more[name] = value
			}
		}
		return more
	}
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>`+
			`<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error><RequestId>7f1e</RequestId></ErrorResponse>`)
	}))
	defer sts.Close()
	quoting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Canonical String x-amz-security-token:`+token+`</Message></Error><RequestId>7f1e</RequestId></ErrorResponse>`)
	}))
	defer quoting.Close()
	jwt := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(jwt, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	role := "arn:aws:iam::111122223333:role/ci"
	for name, c := range map[string]struct {
		env     map[string]string
		outcome fault.Outcome
		code    string
		says    string
	}{
		"missing": {none, fault.Config, "aws_credentials_missing",
			"no AWS credentials: `permissions: id-token: write` missing, or the configure-aws-credentials step did not run"},
		"wrong secret":           {map[string]string{"AWS_SECRET_ACCESS_KEY": secret + "x"}, fault.Undecided, "aws_credentials_rejected", "InvalidSignatureException"},
		"wrong key":              {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, fault.Undecided, "aws_credentials_rejected", "UnrecognizedClientException"},
		"no token":               {map[string]string{"AWS_SESSION_TOKEN": ""}, fault.Undecided, "aws_credentials_rejected", "session token"},
		"no token file":          {with(map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": jwt + "x", "AWS_ROLE_ARN": role}), fault.Undecided, "aws_credentials_failed", "AWS_WEB_IDENTITY_TOKEN_FILE cannot be read"},
		"role refused":           {with(map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": role, "AWS_ENDPOINT_URL_STS": sts.URL}), fault.Undecided, "aws_credentials_failed", "Not authorized to perform sts:AssumeRoleWithWebIdentity (AccessDenied, request 7f1e)"},
		"STS is away":            {with(map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": role, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}), fault.Undecided, "aws_credentials_failed", "connection refused"},
		"STS quotes the request": {with(map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": jwt, "AWS_ROLE_ARN": role, "AWS_ENDPOINT_URL_STS": quoting.URL}), fault.Undecided, "aws_credentials_failed", "gave none: SignatureDoesNotMatch, request 7f1e"},
		"plain HTTP":             {map[string]string{"AWS_ENDPOINT_URL_KMS": "http://kms.example"}, fault.Config, "aws_config_invalid", "kms.example over plain HTTP"},
		"no such profile":        {with(map[string]string{"AWS_PROFILE": "none"}), fault.Config, "aws_config_invalid", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			arn := create(t, server, kmstest.P256)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{})
			wantFault(t, err, c.outcome, c.code, c.says)
		})
	}
}

func TestExpiredCredentials(t *testing.T) {
	server := start(t)
	guarded := guard(t, open(t, "awskms:///"+create(t, server, kmstest.P256)))
	server.ExpireToken()
	_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "aws_credentials_expired", "role-duration-seconds")
	if n := server.Count("Sign"); n != 1 {
		t.Errorf("%d calls with expired credentials, want 1", n)
	}
}

// The role of the container that this runs in is not taken unasked.
func TestContainerRole(t *testing.T) {
	asked := false
	agent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer agent.Close()
	server := start(t)
	arn := create(t, server, kmstest.P256)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL + "/role"} {
		t.Setenv(name, value)
	}
	_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{})
	wantFault(t, err, fault.Config, "aws_credentials_missing")
	if asked {
		t.Error("the agent of the container was asked")
	}
}

// The metadata service is asked only on request.
func TestIMDS(t *testing.T) {
	var asked int
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusNotFound)
	}))
	defer imds.Close()
	server := start(t)
	arn := create(t, server, kmstest.P256)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "",
		"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.URL} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		query, disabled string
		asks            bool
	}{{"", "", false}, {"", "true", false}, {"?imds=false", "", false}, {"?imds=true", "", true}, {"?imds=true", "true", true}, {"", "false", true}} {
		asked = 0
		t.Setenv("AWS_EC2_METADATA_DISABLED", c.disabled)
		_, err := awskms.Open(t.Context(), "awskms:///"+arn+c.query, awskms.Options{})
		wantFault(t, err, fault.Config, "aws_credentials_missing")
		if (asked > 0) != c.asks {
			t.Errorf("%q, AWS_EC2_METADATA_DISABLED=%q: the metadata service was asked %d times", c.query, c.disabled, asked)
		}
	}
}

// A profile that names the metadata service does not count as asking for it.
func TestIMDSOfProfile(t *testing.T) {
	asked := false
	imds := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer imds.Close()
	server := start(t)
	arn := create(t, server, kmstest.P256)
	profile := filepath.Join(t.TempDir(), "config")
	text := "[default]\nrole_arn = arn:aws:iam::111122223333:role/ci\ncredential_source = Ec2InstanceMetadata\n"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "",
		"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.URL, "AWS_CONFIG_FILE": profile} {
		t.Setenv(name, value)
	}
	_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{})
	wantFault(t, err, fault.Config, "aws_credentials_missing")
	if asked {
		t.Error("the metadata service was asked")
	}
}

// What is no AWS KMS gets no second request, no redirect and no credit.
func TestStrangers(t *testing.T) {
	visited := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		status     int
		body, code string
		calls      int
	}{
		"redirect":    {http.StatusTemporaryRedirect, "", "kms_un", 1},
		"moved":       {http.StatusMovedPermanently, "", "kms_un", 1},
		"HTML":        {http.StatusOK, "<html>", "kms_unavailable", 4},
		"proxy error": {http.StatusBadGateway, "<html>", "kms_unavailable", 4},
		"empty":       {http.StatusOK, "{}", "key_mismatch", 1},
		"endless":     {http.StatusOK, `{"KeyId":"` + strings.Repeat("a", 3<<20) + `"}`, "kms_unavailable", 4},
		"forbidden":   {http.StatusForbidden, "no", "kms_un", 1},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			calls := 0
			stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer stranger.Close()
			t.Setenv("AWS_ENDPOINT_URL_KMS", stranger.URL)
			_, err := awskms.Open(t.Context(), "awskms:///alias/a", awskms.Options{Retry: quick})
			if !strings.HasPrefix(fault.CodeOf(err), c.code) || calls != c.calls || visited {
				t.Errorf("%v (%s) after %d calls, visited elsewhere: %v; want %s after %d", err, fault.CodeOf(err), calls, visited, c.code, c.calls)
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	server.Close()
	_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{Retry: quick})
	wantFault(t, err, fault.Undecided, "kms_unavailable", "connection refused", "eu-west-1")
	if !fault.IsTransient(err) {
		t.Error("a refused connection is not transient")
	}
}

func TestProxyPassword(t *testing.T) {
	server := start(t)
	arn := create(t, server, kmstest.P256)
	client := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://user:"+secret+"@:x")
	}}}
	_, err := awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{HTTPClient: client})
	wantFault(t, err, fault.Undecided, "kms_unavailable", "the proxy variable is not a URL")
}
