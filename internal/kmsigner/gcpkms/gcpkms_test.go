package gcpkms_test

import (
	"crypto"
	"fmt"
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
	"github.com/signgate/signgate/internal/signer/signertest"
)

const token = "ya29.acc3ssT0kenThatMustNotShow0123456789"

// secrets are the texts that must not show in any identity, error or notice.
var secrets = []string{token, gcptest.OIDCRequestToken, gcptest.OIDCToken, gcptest.RefreshToken, gcptest.ClientSecret, "MustNotShow"}

var quick = retry.Policy{Attempts: 4, PerAttempt: 5 * time.Second, Base: time.Millisecond}

// setup is a service and the options that lead to it.
type setup struct {
	*gcptest.Server
	env map[string]string
	gcpkms.Options
	created int
}

func start(t *testing.T) *setup {
	t.Helper()
	server, err := gcptest.New(gcptest.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	s := &setup{Server: server, env: server.Env(write(t, server.Credentials(gcptest.Federated)))}
	s.Options = gcpkms.Options{Retry: quick, LookupEnv: func(name string) (string, bool) { value, ok := s.env[name]; return value, ok }}
	return s
}

func write(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gha-creds-0123456789abcdef.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *setup) create(t *testing.T, algorithm gcptest.Algorithm) (name string) {
	t.Helper()
	s.created++
	name, err := s.CreateKey(fmt.Sprintf("images_%d", s.created), algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *setup) open(t *testing.T, name string) *gcpkms.Key {
	t.Helper()
	key, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
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
	if err == nil {
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	noSecret(t, err.Error())
}

func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a text shows a secret: %s", strings.ReplaceAll(text, secret, "<secret>"))
		}
	}
}

var algorithms = map[gcptest.Algorithm]signer.Algorithm{
	gcptest.P256: signer.ECDSASHA256, gcptest.P384: signer.ECDSASHA384, gcptest.Ed25519: signer.Ed25519,
	gcptest.RSA2048: signer.RSAPKCS1SHA256, gcptest.RSA3072: signer.RSAPKCS1SHA256, gcptest.RSA4096: signer.RSAPKCS1SHA256,
	gcptest.MLDSA44: signer.MLDSA44, gcptest.MLDSA65: signer.MLDSA65, gcptest.MLDSA87: signer.MLDSA87,
	gcptest.MLDSA44ExternalMu: signer.MLDSA44, gcptest.MLDSA65ExternalMu: signer.MLDSA65, gcptest.MLDSA87ExternalMu: signer.MLDSA87,
}

func TestContract(t *testing.T) {
	s := start(t)
	for algorithm, alg := range algorithms {
		if testing.Short() && algorithm == gcptest.RSA4096 {
			continue
		}
		t.Run(string(algorithm), func(t *testing.T) {
			name := s.create(t, algorithm)
			opener := func(t *testing.T) signer.Key { return s.open(t, name) }
			signertest.Run(t, opener, []signer.Algorithm{alg}, secrets...)
			key := s.open(t, name)
			if key.ID() != name || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(s.Public(name)) {
				t.Errorf("ID %s, want %s with its public key", key.ID(), name)
			}
		})
	}
}

// TestOtherAlgorithms: each algorithm that is not used is refused with its
// reason, also when the version was found in the list.
func TestOtherAlgorithms(t *testing.T) {
	s := start(t)
	for algorithm, says := range map[gcptest.Algorithm]string{
		gcptest.RSAPSS2048: "PSS", gcptest.Secp256k1: "secp256k1", gcptest.SLHDSA: "SLH-DSA",
		gcptest.HMACSHA256: "", gcptest.GoogleSymmetric: "",
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			_, err := gcpkms.Open(t.Context(), "gcpkms://"+s.create(t, algorithm), s.Options)
			wantFault(t, err, fault.Config, "key_type_unsupported", says)
		})
	}
	for algorithm, says := range map[gcptest.Algorithm]string{
		"RSA_SIGN_PKCS1_4096_SHA512": "SHA-512", "RSA_SIGN_RAW_PKCS1_2048": "naming the hash", "PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256": "SLH-DSA",
		gcptest.HMACSHA256: "secret key", gcptest.GoogleSymmetric: "encrypts", "RSA_DECRYPT_OAEP_2048_SHA256": "decrypts", "ML_KEM_768": "exchanges", "NEW_ALGORITHM": "does not know",
	} {
		name := s.create(t, gcptest.P256)
		s.Inject("getPublicKey", gcptest.Edit("algorithm", algorithm))
		_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
		wantFault(t, err, fault.Config, "key_type_unsupported", says, string(algorithm), "EC_SIGN_P256_SHA256")
	}
}

func TestVersions(t *testing.T) {
	s := start(t)
	var notices []string
	s.Notice = func(text string) { notices = append(notices, text) }
	first := s.create(t, gcptest.P256)
	key, _, _ := strings.Cut(first, "/cryptoKeyVersions/")
	for range 11 { // twelve versions on six pages, and 12 is not less than 2
		if _, err := s.AddVersion(key, gcptest.P256); err != nil {
			t.Fatal(err)
		}
	}
	s.SetState(key+"/cryptoKeyVersions/12", gcptest.Disabled)
	want := key + "/cryptoKeyVersions/11"
	k := s.open(t, key)
	if k.ID() != want || len(notices) != 1 || !strings.Contains(notices[0], want) {
		t.Errorf("opened %s with the notices %q, want %s", k.ID(), notices, want)
	}
	s.SetState(key+"/cryptoKeyVersions/12", gcptest.Enabled) // the run stays with its version
	if sig, err := guard(t, k).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil || sig.KeyID != want {
		t.Errorf("signed with %s, %v", sig.KeyID, err)
	}
	for _, spelling := range []string{"/cryptoKeyVersions/3", "/versions/3"} {
		if k := s.open(t, key+spelling); k.ID() != key+"/cryptoKeyVersions/3" {
			t.Errorf("%s opens %s", spelling, k.ID())
		}
	}
	if len(notices) != 1 {
		t.Errorf("notices %q for a version that was named", notices)
	}
	for n := range 12 {
		s.SetState(fmt.Sprintf("%s/cryptoKeyVersions/%d", key, n+1), gcptest.Disabled)
	}
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+key, s.Options)
	wantFault(t, err, fault.Refused, "kms_key_disabled", "no enabled version")
}

func TestVersionList(t *testing.T) {
	const key = "projects/acme-prod/locations/europe-west1/keyRings/release/cryptoKeys/images"
	other := map[string]any{"name": strings.Replace(key, "release", "other", 1) + "/cryptoKeyVersions/9", "state": "ENABLED", "algorithm": "EC_SIGN_P256_SHA256"}
	reordered := gcptest.Change(func(answer map[string]any) {
		first := answer["cryptoKeyVersions"].([]any)[0]
		retired := map[string]any{"name": "projects/acme-prod/locations/europe-west1/keyRings/release/cryptoKeys/images_1/cryptoKeyVersions/7", "state": "DISABLED"}
		answer["cryptoKeyVersions"] = []any{retired, first}
	})
	for name, c := range map[string]struct {
		faults     []gcptest.Fault
		outcome    fault.Outcome
		code, says string
	}{
		"a disabled one": {gcptest.Times(1, reordered), fault.Passed, "", ""},
		"another key":    {gcptest.Times(1, gcptest.Edit("cryptoKeyVersions", []any{other})), fault.Refused, "key_mismatch", "keyRings/other"},
		"no end":         {gcptest.Times(99, gcptest.Edit("nextPageToken", "0")), fault.Undecided, "kms_unexpected", "pages"},
		"a wrong type":   {gcptest.Times(1, gcptest.Edit("cryptoKeyVersions", "none")), fault.Undecided, "kms_unexpected", "JSON"},
		"no permission":  {gcptest.Times(1, gcptest.Deny("cloudkms.cryptoKeyVersions.list", key)), fault.Undecided, "kms_access_denied", "add /cryptoKeyVersions/1 to the key"},
		"throttled":      {gcptest.Times(2, gcptest.Throttle("")), fault.Passed, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			created := s.create(t, gcptest.P256)
			s.Inject("cryptoKeyVersions.list", c.faults...)
			key, _, _ := strings.Cut(created, "/cryptoKeyVersions/")
			_, err := gcpkms.Open(t.Context(), "gcpkms://"+key, s.Options)
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
}

// TestNewest: the highest number counts, in whatever order the list comes.
func TestNewest(t *testing.T) {
	s := start(t)
	first := s.create(t, gcptest.P256)
	second, err := s.AddVersion(first, gcptest.P256)
	if err != nil {
		t.Fatal(err)
	}
	s.Inject("cryptoKeyVersions.list", gcptest.Change(func(answer map[string]any) {
		list := answer["cryptoKeyVersions"].([]any)
		slices.Reverse(list)
	}))
	key := strings.TrimSuffix(first, "/cryptoKeyVersions/1")
	if k := s.open(t, key); k.ID() != second {
		t.Errorf("opened %s, want %s", k.ID(), second)
	}
	s.Inject("getPublicKey", gcptest.Edit("algorithm", "EC_SIGN_P384_SHA384"))
	_, err = gcpkms.Open(t.Context(), "gcpkms://"+key, s.Options)
	wantFault(t, err, fault.Refused, "key_mismatch", "EC_SIGN_P384_SHA384")
}

// TestCalls: one read of the public key for a key and run, two for a
// post-quantum key whose version was named, one asymmetricSign for a payload.
func TestCalls(t *testing.T) {
	s := start(t)
	for algorithm, reads := range map[gcptest.Algorithm]int{gcptest.P256: 1, gcptest.MLDSA65ExternalMu: 2} {
		name := s.create(t, algorithm)
		before := s.Count("getPublicKey")
		key := guard(t, s.open(t, name))
		for range 3 {
			if _, err := key.Sign(t.Context(), algorithms[algorithm], []byte("message")); err != nil {
				t.Error(err)
			}
		}
		if n := s.Count("getPublicKey") - before; n != reads {
			t.Errorf("%s: %d reads of the public key, want %d", algorithm, n, reads)
		}
		before = s.Count("getPublicKey")
		s.open(t, strings.TrimSuffix(name, "/cryptoKeyVersions/1"))
		if n := s.Count("getPublicKey") - before; n != 1 {
			t.Errorf("%s: %d reads of the public key after the list, want 1", algorithm, n)
		}
	}
	if n := s.Count("asymmetricSign"); n != 6 {
		t.Errorf("%d calls of asymmetricSign for 6 payloads", n)
	}
}

// TestRequestID: the report can be joined with the audit log by the User-Agent.
func TestRequestID(t *testing.T) {
	s := start(t)
	sig, err := s.open(t, s.create(t, gcptest.P256)).Sign(t.Context(), signer.ECDSASHA256, nil)
	if err != nil {
		t.Fatal(err)
	}
	requests := s.Requests()
	if last := requests[len(requests)-1]; sig.RequestID == "" || last.UserAgent != "signgate request/"+sig.RequestID {
		t.Errorf("RequestID %q, User-Agent %q", sig.RequestID, last.UserAgent)
	}
}

func TestMessageSize(t *testing.T) {
	s := start(t)
	for _, algorithm := range []gcptest.Algorithm{gcptest.Ed25519, gcptest.MLDSA44} {
		key := s.open(t, s.create(t, algorithm))
		if _, err := guard(t, key).Sign(t.Context(), algorithms[algorithm], make([]byte, 64<<10)); err != nil {
			t.Error(err)
		}
		before := s.Count("asymmetricSign")
		_, err := key.Sign(t.Context(), algorithms[algorithm], make([]byte, 64<<10+1))
		wantFault(t, err, fault.Config, "message_too_long", "65537", "P-256")
		if s.Count("asymmetricSign") != before {
			t.Error("a message that is too long was sent")
		}
	}
	big := s.open(t, s.create(t, gcptest.MLDSA87ExternalMu))
	if _, err := guard(t, big).Sign(t.Context(), signer.MLDSA87, make([]byte, 1<<20)); err != nil {
		t.Errorf("external μ: %v", err)
	}
}

// TestExternalKeyManager: such a key sees the message.
func TestExternalKeyManager(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	s.SetProtection(name, "EXTERNAL_VPC")
	if _, err := guard(t, s.open(t, name)).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Error(err)
	}
}

func TestRedirected(t *testing.T) {
	s := start(t)
	if got := s.open(t, s.create(t, gcptest.P256)).RedirectedTo(); got != s.URL {
		t.Errorf("RedirectedTo = %q, want %q", got, s.URL)
	}
	for value, ok := range map[string]bool{
		"https://cloudkms.example.com": true, "https://cloudkms.example.com/": true, "http://[::1]:1/": true, "http://localhost:1": true,
		"http://cloudkms.example.com/": false, "cloudkms.example.com": false, "ftp://127.0.0.1": false, "https://user:MustNotShow@h/": false,
		"https://h/v1": false, "https://h/?key=MustNotShow": false, "https://h/#a": false, "https://": false, "http://127.0.0.1.example.com/": false, "%zz": false,
	} {
		s.env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] = value
		s.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/does/not/exist"
		_, err := gcpkms.Open(t.Context(), "gcpkms://"+s.create(t, gcptest.P256), s.Options)
		if ok {
			wantFault(t, err, fault.Config, "google_credentials_missing")
		} else {
			wantFault(t, err, fault.Config, "google_endpoint_invalid")
		}
	}
}
