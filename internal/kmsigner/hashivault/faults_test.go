package hashivault_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// The fault matrix: what the service does wrong while it signs, how it ends
// behind the guard, and how many requests that takes.
func TestSignFaults(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	rotate(t, server, release)
	guarded := guard(t, open(t, server, "hashivault://release"))
	bad := func(signature string) []vaulttest.Fault {
		return []vaulttest.Fault{vaulttest.Edit("signature", signature)}
	}
	for name, c := range map[string]struct {
		faults     []vaulttest.Fault
		outcome    fault.Outcome
		code, says string
		calls      int
	}{
		"throttled, then not":   {vaulttest.Times(3, vaulttest.Throttle()), fault.Passed, "", "", 4},
		"throttled for long":    {vaulttest.Times(4, vaulttest.Throttle()), fault.Undecided, "kms_throttled", "rate limit quota exceeded (HTTP 429)", 4},
		"internal":              {vaulttest.Times(1, vaulttest.Internal()), fault.Passed, "", "", 2},
		"internal for long":     {vaulttest.Times(4, vaulttest.Internal()), fault.Undecided, "kms_unavailable", "internal error (HTTP 500)", 4},
		"load balancer":         {vaulttest.Times(1, vaulttest.Unavailable()), fault.Passed, "", "", 2},
		"standby":               {vaulttest.Times(1, vaulttest.Standby()), fault.Passed, "", "", 2},
		"behind":                {vaulttest.Times(1, vaulttest.Behind()), fault.Passed, "", "", 2},
		"truncated":             {vaulttest.Times(1, vaulttest.Truncate()), fault.Passed, "", "", 2},
		"truncated for long":    {vaulttest.Times(4, vaulttest.Truncate()), fault.Undecided, "kms_unavailable", "EOF", 4},
		"a mix":                 {[]vaulttest.Fault{vaulttest.Throttle(), vaulttest.Internal(), vaulttest.Truncate()}, fault.Passed, "", "", 4},
		"sealed":                {vaulttest.Times(1, vaulttest.Fail(503, "Vault is sealed")), fault.Undecided, "vault_sealed", "unseal it", 1},
		"denied":                {vaulttest.Times(1, vaulttest.Fail(403, "permission denied")), fault.Undecided, "kms_access_denied", "update on transit/sign/release/*", 1},
		"unknown text":          {vaulttest.Times(1, vaulttest.Fail(400, "what\nis", "this")), fault.Undecided, "kms_unexpected", "what is; this (HTTP 400)", 1},
		"repeats the token":     {vaulttest.Times(1, vaulttest.Fail(400, "bad token "+root)), fault.Undecided, "kms_unexpected", "bad token REDACTED", 1},
		"key deleted":           {vaulttest.Times(1, vaulttest.Fail(400, "signing key not found")), fault.Config, "kms_key_not_found", "?mount= (now transit)", 1},
		"no private part":       {vaulttest.Times(1, vaulttest.Fail(500, "1 error occurred:\n\t* requested version for signing does not contain a private part\n\n")), fault.Config, "kms_invalid_usage", "private part", 1},
		"another version":       {[]vaulttest.Fault{vaulttest.OtherVersion(1)}, fault.Refused, "key_mismatch", "version=1", 1},
		"another version named": {bad("vault:v1:MEUC"), fault.Undecided, "kms_unexpected", "two versions", 1},
		"corrupted signature":   {[]vaulttest.Fault{vaulttest.CorruptSignature()}, fault.Refused, "bad_signature", "does not verify", 1},
		"no version":            {bad("MEUC"), fault.Undecided, "kms_unexpected", "vault:v", 1},
		"version 0":             {bad("vault:v0:MEUC"), fault.Undecided, "kms_unexpected", "vault:v", 1},
		"no base64":             {bad("vault:v2:MEUC="), fault.Undecided, "kms_unexpected", "base64", 1},
		"no signature":          {bad(""), fault.Undecided, "kms_unexpected", "vault:v", 1},
		"signature of a type":   {[]vaulttest.Fault{vaulttest.Edit("signature", 7)}, fault.Undecided, "kms_unexpected", "another type", 1},
		"not JSON":              {[]vaulttest.Fault{vaulttest.Body("<html>")}, fault.Undecided, "kms_unexpected", "not the JSON", 1},
		"a member twice":        {[]vaulttest.Fault{vaulttest.Body(`{"request_id":"a","data":{},"data":{}}`)}, fault.Undecided, "kms_unexpected", "not the JSON", 1},
		"data is null":          {[]vaulttest.Fault{vaulttest.Body(`{"request_id":"a","data":null}`)}, fault.Undecided, "kms_unexpected", "missing", 1},
		"endless":               {[]vaulttest.Fault{vaulttest.Body(`{"x":"` + strings.Repeat("a", 5<<20) + `"}`)}, fault.Undecided, "kms_unexpected", "larger", 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := server.Count("sign")
			server.Inject("sign", c.faults...)
			_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
			if calls := server.Count("sign") - before; calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

func TestOpenFaults(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	for range 2 {
		rotate(t, server, release)
	}
	server.SetMinDecryptionVersion(release, 2)
	create(t, server, vaulttest.KeyAt{Name: "aes"}, vaulttest.AES256)
	create(t, server, vaulttest.KeyAt{Name: "derived"}, vaulttest.Ed25519)
	server.SetFlag(vaulttest.KeyAt{Name: "derived"}, "derived", true)
	retired := vaulttest.KeyAt{Name: "retired"}
	create(t, server, retired, vaulttest.P256)
	rotate(t, server, retired)
	server.SetMinEncryptionVersion(retired, 2)
	edit := func(member string, value any) []vaulttest.Fault {
		return []vaulttest.Fault{vaulttest.Edit(member, value)}
	}
	public := func(text string) map[string]any {
		return map[string]any{"3": map[string]any{"public_key": text}}
	}
	for name, c := range map[string]struct {
		uri        string
		faults     []vaulttest.Fault
		outcome    fault.Outcome
		code, says string
	}{
		"throttled, then not": {"release", vaulttest.Times(3, vaulttest.Throttle()), fault.Passed, "", ""},
		"internal for long":   {"release", vaulttest.Times(4, vaulttest.Internal()), fault.Undecided, "kms_unavailable", "did not read the key transit/keys/release: "},
		"missing":             {"none", nil, fault.Config, "kms_key_not_found", "transit/keys/none"},
		"no such mount":       {"release?mount=other", nil, fault.Config, "kms_key_not_found", "(now other)"},
		"no such namespace":   {"release?namespace=other", nil, fault.Config, "kms_key_not_found", "(now other)"},
		"version too high":    {"release?version=4", nil, fault.Config, "kms_key_not_found", "its latest is 3"},
		"version archived":    {"release?version=1", nil, fault.Config, "kms_key_not_found", "min_decryption_version is 2"},
		"version retired":     {"retired?version=1", nil, fault.Refused, "kms_key_disabled", "min_encryption_version is 2"},
		"deleted softly":      {"release", edit("soft_deleted", true), fault.Refused, "kms_key_disabled", "deleted softly"},
		"symmetric":           {"aes", nil, fault.Config, "key_type_unsupported", "aes256-gcm96, which cannot sign"},
		"derived":             {"derived", nil, fault.Config, "key_type_unsupported", "derives a key"},
		"managed":             {"release", edit("type", "managed_key"), fault.Config, "key_type_unsupported", "lives elsewhere"},
		"ML-DSA":              {"release", edit("type", "ml-dsa"), fault.Config, "key_type_unsupported", "no verifier"},
		"new type":            {"release", edit("type", "x\ny"), fault.Config, "key_type_unsupported", `"x y"`},
		"another key":         {"release", edit("name", "other"), fault.Refused, "key_mismatch", "other"},
		"type of another":     {"release", edit("type", "ecdsa-p384"), fault.Undecided, "kms_unexpected", "not of the type ecdsa-p384"},
		"no public key":       {"release", edit("keys", public("")), fault.Undecided, "kms_unexpected", "version 3"},
		"no PEM":              {"release", edit("keys", public("-----BEGIN")), fault.Undecided, "kms_unexpected", "version 3"},
		"private key":         {"release", edit("keys", public(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})))), fault.Undecided, "kms_unexpected", "version 3"},
		"numbers":             {"release", edit("keys", map[string]any{"3": 7}), fault.Undecided, "kms_unexpected", "version 3"},
		"no versions":         {"release", edit("keys", nil), fault.Config, "kms_key_not_found", "archived or trimmed"},
		"no latest":           {"release", edit("latest_version", 0), fault.Undecided, "kms_unexpected", "no latest version"},
		"latest as text":      {"release", edit("latest_version", "3"), fault.Undecided, "kms_unexpected", "another type"},
		"no transit engine":   {"release", vaulttest.Times(1, vaulttest.Fail(405, "unsupported operation")), fault.Config, "kms_invalid_usage", "unsupported operation"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Inject("read", c.faults...)
			_, err := hashivault.Open(t.Context(), "hashivault://"+c.uri, options(server.Env()))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
	server.Seal(true)
	_, err := hashivault.Open(t.Context(), "openbao://release", options(server.Env()))
	wantFault(t, err, fault.Undecided, "vault_sealed", "OpenBao at 127.0.0.1", "is sealed")
	if fault.IsTransient(err) {
		t.Error("a sealed server is asked again")
	}
}

func TestHang(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	key := open(t, server, "hashivault://release")
	hasty, err := signer.Guard(key, retry.Policy{Attempts: 2, PerAttempt: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server.Inject("sign", vaulttest.Hang())
	if _, err := hasty.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Errorf("one hanging attempt: %v", err)
	}
	server.Inject("sign", vaulttest.Times(2, vaulttest.Hang())...)
	_, err = hasty.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "timeout", "100ms")

	ctx, cancel := context.WithCancel(t.Context())
	server.Inject("read", vaulttest.Hang())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = hashivault.Open(ctx, "hashivault://release", options(server.Env()))
	wantFault(t, err, fault.Undecided, "interrupted", "cut short")
}

func TestRetryAfter(t *testing.T) {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer busy.Close()
	_, err := hashivault.Open(t.Context(), "hashivault://release", hashivault.Options{LookupEnv: env{"VAULT_ADDR": busy.URL, "VAULT_TOKEN": root}.lookup})
	wantFault(t, err, fault.Undecided, "kms_throttled", "no reason given (HTTP 429)")
	if f, ok := err.(*fault.Error); !ok || f.After != 7*time.Second || !f.Transient {
		t.Errorf("%+v, want to be left alone for 7 s", err)
	}
}

// A standby node sends clients to the active one. The token stays here.
func TestRedirect(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	visited := false
	active := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer active.Close()
	key := open(t, server, "hashivault://release")
	server.Inject("read", vaulttest.Redirect(active.URL))
	_, err := hashivault.Open(t.Context(), "hashivault://release", options(server.Env()))
	wantFault(t, err, fault.Undecided, "vault_redirected", active.URL, "set VAULT_ADDR to the address of the active node")
	server.Inject("sign", vaulttest.Redirect(active.URL+"/user:secret@elsewhere"))
	_, err = guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "vault_redirected", active.URL)
	server.AddAppRole("", "approle", vaulttest.AppRole{RoleID: "role", SecretID: "secret"})
	server.Inject("login", vaulttest.Redirect(active.URL))
	_, err = hashivault.Open(t.Context(), "hashivault://release", options(env{"VAULT_ADDR": server.URL, "VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": "secret"}))
	wantFault(t, err, fault.Undecided, "vault_redirected", active.URL)
	if visited || strings.Contains(err.Error(), "secret ") {
		t.Error("the redirect was followed")
	}
}

func TestAddress(t *testing.T) {
	for name, c := range map[string]struct {
		env        env
		code, says string
	}{
		"none":        {env{}, "vault_address_missing", "VAULT_ADDR and BAO_ADDR are empty"},
		"plain HTTP":  {env{"VAULT_ADDR": "http://vault.example.com:8200"}, "vault_config_invalid", "plain HTTP to vault.example.com:8200"},
		"OpenBao":     {env{"BAO_ADDR": "http://vault.example.com"}, "vault_config_invalid", "BAO_ADDR"},
		"no scheme":   {env{"VAULT_ADDR": "vault.example.com:8200"}, "vault_config_invalid", "VAULT_ADDR is not the address"},
		"socket":      {env{"VAULT_ADDR": "unix:///run/vault.sock"}, "vault_config_invalid", "not the address"},
		"password":    {env{"VAULT_ADDR": "https://user:" + root + "@vault.example.com"}, "vault_config_invalid", "without a user"},
		"query":       {env{"VAULT_ADDR": "https://vault.example.com?x=" + root}, "vault_config_invalid", "a query"},
		"malformed":   {env{"VAULT_ADDR": "https://%zz" + root}, "vault_config_invalid", "not the address"},
		"namespace":   {env{"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_NAMESPACE": "a//b"}, "vault_config_invalid", "NAMESPACE"},
		"mount":       {env{"VAULT_ADDR": "https://127.0.0.1:1", "TRANSIT_SECRET_ENGINE_PATH": "../sys"}, "vault_config_invalid", "TRANSIT_SECRET_ENGINE_PATH"},
		"CA missing":  {env{"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_CACERT": "/none.pem"}, "vault_config_invalid", "VAULT_CACERT"},
		"CA no PEM":   {env{"BAO_ADDR": "https://127.0.0.1:1", "BAO_CACERT_BYTES": "x"}, "vault_config_invalid", "no certificate in BAO_CACERT_BYTES"},
		"not running": {env{"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": root}, "kms_unavailable", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := hashivault.Open(t.Context(), "hashivault://release", options(c.env))
			outcome := fault.Config
			if c.code == "kms_unavailable" {
				outcome = fault.Undecided
			}
			wantFault(t, err, outcome, c.code, c.says)
		})
	}
}

// The certificate of the server is checked, against VAULT_CACERT when there is
// one.
func TestTLS(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	secure := httptest.NewUnstartedServer(server)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	base := env{"VAULT_ADDR": secure.URL + "/", "VAULT_TOKEN": root, "VAULT_SKIP_VERIFY": "true"}
	_, err := hashivault.Open(t.Context(), "hashivault://release", options(base))
	wantFault(t, err, fault.Undecided, "kms_tls", "VAULT_CACERT", "no way to skip")
	for _, more := range []env{{"VAULT_CACERT": file}, {"VAULT_CACERT": "/runner/ca.pem"}, {"VAULT_CACERT_BYTES": ca}} {
		o := options(base.with(more))
		o.TranslatePath = func(path string) string { return strings.Replace(path, "/runner", filepath.Dir(file), 1) }
		if _, err := hashivault.Open(t.Context(), "hashivault://release", o); err != nil {
			t.Error(err)
		}
	}
}

func TestProxyPassword(t *testing.T) {
	o := options(env{"VAULT_ADDR": "https://vault.example.com", "VAULT_TOKEN": root})
	o.Retry = retry.Policy{}
	o.Transport = &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://user:"+root+"@:x")
	}}
	_, err := hashivault.Open(t.Context(), "hashivault://release", o)
	wantFault(t, err, fault.Undecided, "kms_unavailable", "the proxy variable is not a URL")
}

// A server that repeats the token wherever it can does not get it printed.
func TestEcho(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	key := open(t, server, "hashivault://release")
	for _, f := range []vaulttest.Fault{vaulttest.Edit("name", root), vaulttest.Edit("type", root), vaulttest.Fail(400, root), vaulttest.Fail(403, root, root),
		vaulttest.Fail(404, "x"+root+"x"), vaulttest.Redirect("https://" + root)} {
		server.Inject("read", f)
		checks := hashivault.Examine(t.Context(), "hashivault://release", options(server.Env()))
		if text := fmt.Sprint(checks); strings.Contains(text, root) || !strings.Contains(text, "key fail") {
			t.Errorf("%s", strings.ReplaceAll(text, root, "<secret>"))
		}
	}
	for _, id := range []string{root, "a b", strings.Repeat("a", 99)} {
		server.Inject("sign", vaulttest.Body(`{"request_id":"`+id+`","data":{"signature":"vault:v1:MEUC"}}`))
		if sig, err := key.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil || sig.RequestID != "" {
			t.Errorf("%v, a request ID of %d bytes", err, len(sig.RequestID))
		}
	}
}
