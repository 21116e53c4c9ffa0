package azurekms_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

var (
	throttle    = azuretest.Fail(http.StatusTooManyRequests, "Throttled", "", "The request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached")
	unavailable = azuretest.Fail(http.StatusServiceUnavailable, "ServiceUnavailable", "", "")
	denied      = azuretest.Fail(http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource.\r\nCaller: appid=a;oid=o;iss=https://sts.windows.net/t/\r\nAction: 'Microsoft.KeyVault/vaults/keys/sign/action'")
)

func forbidden(inner, text string) []azuretest.Fault {
	return []azuretest.Fault{azuretest.Fail(http.StatusForbidden, "Forbidden", inner, text)}
}

// The fault matrix: what the vault does wrong while it signs, how it ends
// behind the guard, and how many requests that takes.
func TestSignFaults(t *testing.T) {
	vault := azuretest.New(host)
	kid, other := vault.Rotate("release", azuretest.P256), vault.Rotate("other", azuretest.P256)
	guarded := guard(t, open(t, "azurekms://"+host+"/release", typed(vault)))
	for name, c := range map[string]struct {
		faults  []azuretest.Fault
		outcome fault.Outcome
		code    string
		says    string
		calls   int
	}{
		"throttled, then not":     {azuretest.Times(3, throttle), fault.Passed, "", "", 4},
		"throttled for long":      {azuretest.Times(4, throttle), fault.Undecided, "kms_throttled", "VaultRequestTypeLimitReached (Throttled, request ", 4},
		"internal error":          {azuretest.Times(3, azuretest.Fail(500, "InternalServerError", "", "")), fault.Passed, "", "", 4},
		"unavailable for long":    {azuretest.Times(4, unavailable), fault.Undecided, "kms_unavailable", "ServiceUnavailable", 4},
		"gateway":                 {azuretest.Times(1, azuretest.Stranger(502, "<html>")), fault.Passed, "", "", 2},
		"network":                 {azuretest.Times(1, azuretest.Break("connection reset")), fault.Passed, "", "", 2},
		"truncated":               {azuretest.Times(1, azuretest.Truncate()), fault.Passed, "", "", 2},
		"truncated for long":      {azuretest.Times(4, azuretest.Truncate()), fault.Undecided, "kms_unavailable", "could not be read", 4},
		"HTML":                    {azuretest.Times(4, azuretest.Stranger(200, "<html>")), fault.Undecided, "kms_unavailable", "could not be read", 4},
		"a mix":                   {[]azuretest.Fault{throttle, unavailable, azuretest.Truncate()}, fault.Passed, "", "", 4},
		"denied":                  {azuretest.Times(1, denied), fault.Undecided, "kms_access_denied", "Key Vault Crypto User", 1},
		"denied by policy":        {forbidden("AccessDenied", "The user does not have keys sign permission"), fault.Undecided, "kms_access_denied", "keys/sign", 1},
		"firewall":                {forbidden("ForbiddenByFirewall", "Client address is not authorized"), fault.Undecided, "kms_access_denied", "firewall of the vault", 1},
		"private endpoint":        {forbidden("ForbiddenByConnection", "Public network access is disabled"), fault.Undecided, "kms_access_denied", "runner in its network", 1},
		"disabled":                {forbidden("KeyDisabled", "Operation sign is not allowed on a disabled key."), fault.Refused, "kms_key_disabled", kid + " is disabled (Forbidden, KeyDisabled, request ", 1},
		"disabled, get":           {forbidden("", "Operation get is not allowed on a disabled key."), fault.Refused, "kms_key_disabled", "is disabled", 1},
		"expired":                 {forbidden("KeyExpired", ""), fault.Refused, "kms_key_disabled", "has expired", 1},
		"not yet valid":           {forbidden("KeyNotYetValid", ""), fault.Refused, "kms_key_disabled", "not valid yet", 1},
		"operation":               {forbidden("KeyOperationForbidden", "Operation sign is not permitted on this key."), fault.Config, "kms_invalid_usage", "operation sign", 1},
		"gone":                    {[]azuretest.Fault{azuretest.Fail(404, "KeyNotFound", "", "A key with (name/id) release was not found")}, fault.Config, "kms_key_not_found", "can be recovered", 1},
		"bad parameter":           {[]azuretest.Fault{azuretest.Fail(400, "BadParameter", "", "Key and signing algorithm are incompatible.")}, fault.Config, "kms_invalid_usage", "incompatible", 1},
		"unknown code":            {[]azuretest.Fault{azuretest.Fail(409, "Conflict", "", "what\nis this")}, fault.Undecided, "kms_unexpected", "what is this (Conflict, request ", 1},
		"a stranger denies":       {azuretest.Times(1, azuretest.Stranger(403, "blocked")), fault.Undecided, "kms_unavailable", "something else did: HTTP status 403", 1},
		"a redirect":              {azuretest.Times(1, azuretest.Stranger(302, "")), fault.Undecided, "kms_unavailable", "HTTP status 302", 1},
		"repeats the token":       {forbidden("X", "token fake_token"), fault.Undecided, "kms_access_denied", "token ***", 1},
		"another key":             {azuretest.Times(1, azuretest.Set("kid", other)), fault.Refused, "key_mismatch", other, 1},
		"another version":         {azuretest.Times(1, azuretest.Set("kid", kid[:len(kid)-32]+strings.Repeat("0", 32))), fault.Refused, "key_mismatch", "000000", 1},
		"another vault":           {azuretest.Times(1, azuretest.Set("kid", strings.Replace(kid, "acme", "emca", 1))), fault.Refused, "key_mismatch", "emca", 1},
		"no version":              {azuretest.Times(1, azuretest.Set("kid", kid[:len(kid)-33])), fault.Refused, "key_mismatch", "", 1},
		"no identity":             {azuretest.Times(1, azuretest.Set("kid", nil)), fault.Refused, "key_mismatch", "", 1},
		"host in capitals":        {azuretest.Times(1, azuretest.Set("kid", strings.Replace(kid, "acme", "ACME", 1))), fault.Passed, "", "", 1},
		"corrupted signature":     {azuretest.Times(1, azuretest.Set("value", strings.Repeat("A", 85)+"Q")), fault.Refused, "bad_signature", "does not verify", 1},
		"DER instead of r and s":  {azuretest.Times(1, azuretest.Set("value", strings.Repeat("A", 96))), fault.Undecided, "kms_unexpected", "72 bytes", 1},
		"no signature":            {azuretest.Times(1, azuretest.Set("value", "")), fault.Undecided, "kms_unexpected", "0 bytes", 1},
		"signature without value": {azuretest.Times(1, azuretest.Set("value", nil)), fault.Undecided, "kms_unexpected", "0 bytes", 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := vault.Count("sign")
			vault.Inject("sign", c.faults...)
			_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
			if calls := vault.Count("sign") - before; calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

func TestStates(t *testing.T) {
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		change  func(*azuretest.State)
		outcome fault.Outcome
		code    string
		atOpen  bool // or only when it signs
	}{
		"disabled":      {func(s *azuretest.State) { s.Enabled = false }, fault.Refused, "kms_key_disabled", true},
		"no operations": {func(s *azuretest.State) { s.Operations = []string{"verify"} }, fault.Config, "kms_invalid_usage", true},
		"expired":       {func(s *azuretest.State) { s.Expires = &past }, fault.Refused, "kms_key_disabled", false},
		"not yet valid": {func(s *azuretest.State) { s.NotBefore = &future }, fault.Refused, "kms_key_disabled", false},
	} {
		t.Run(name, func(t *testing.T) {
			vault := azuretest.New(host)
			kid := vault.Rotate("release", azuretest.P256)
			guarded := guard(t, open(t, "azurekms://"+host+"/release", typed(vault)))
			vault.Change(kid, c.change)
			_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			wantFault(t, err, c.outcome, c.code, kid)
			_, err = azurekms.Open(t.Context(), "azurekms://"+host+"/release", typed(vault))
			if c.atOpen {
				wantFault(t, err, c.outcome, c.code, kid)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenFaults(t *testing.T) {
	vault := azuretest.New(host)
	kid, other := vault.Rotate("release", azuretest.P256), vault.Rotate("other", azuretest.P256)
	version := kid[len(kid)-32:]
	for name, c := range map[string]struct {
		key     string
		faults  []azuretest.Fault
		outcome fault.Outcome
		code    string
		says    string
	}{
		"fine":            {"release", nil, fault.Passed, "", ""},
		"throttled":       {"release", azuretest.Times(3, throttle), fault.Passed, "", ""},
		"no key":          {"none", nil, fault.Config, "kms_key_not_found", "/keys/none"},
		"no version":      {"release/" + strings.Repeat("0", 32), nil, fault.Config, "kms_key_not_found", "00000"},
		"denied":          {"release", []azuretest.Fault{denied}, fault.Undecided, "kms_access_denied", "keys/read"},
		"disabled":        {"release", forbidden("KeyDisabled", "Operation get is not allowed on a disabled key."), fault.Refused, "kms_key_disabled", "enable it"},
		"another key":     {"release", []azuretest.Fault{azuretest.Set("kid", other)}, fault.Refused, "key_mismatch", other},
		"another version": {"release/" + version, []azuretest.Fault{azuretest.Set("kid", kid[:len(kid)-32]+strings.Repeat("0", 32))}, fault.Refused, "key_mismatch", "000000"},
		"another vault":   {"release", []azuretest.Fault{azuretest.Set("kid", strings.Replace(kid, "acme", "emca", 1))}, fault.Refused, "key_mismatch", "emca"},
		"no identity":     {"release", []azuretest.Fault{azuretest.Set("kid", nil)}, fault.Refused, "key_mismatch", ""},
		"no key in it":    {"release", []azuretest.Fault{azuretest.Stranger(200, "{}")}, fault.Refused, "key_mismatch", ""},
		"ML-DSA":          {"release", []azuretest.Fault{azuretest.Set("kty", "AKP")}, fault.Config, "key_type_unsupported", "AKP"},
		"off the curve":   {"release", []azuretest.Fault{azuretest.Set("x", strings.Repeat("A", 43))}, fault.Undecided, "kms_unexpected", "not one of its type"},
		"endless":         {"release", azuretest.Times(4, azuretest.Stranger(200, `{"key":{"kid":"`+strings.Repeat("a", 3<<20)+`"}}`)), fault.Undecided, "kms_unavailable", "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			vault.Inject("get", c.faults...)
			_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/"+c.key, typed(vault))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	vault := azuretest.New(host)
	vault.Rotate("release", azuretest.P256)
	key := open(t, "azurekms://"+host+"/release", typed(vault))
	for value, want := range map[string]time.Duration{"7": 7 * time.Second, "99999999": time.Hour, "-1": 0, "": 0, "x": 0,
		time.Now().Add(30 * time.Second).UTC().Format(http.TimeFormat): 30 * time.Second, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		for _, status := range []int{429, 503} {
			vault.Inject("sign", azuretest.Fail(status, "X", "", "", "Retry-After", value))
			_, err := key.Sign(t.Context(), signer.ECDSASHA256, nil)
			f, ok := err.(*fault.Error)
			if !ok || !f.Transient || f.After > want || f.After < want-2*time.Second {
				t.Errorf("%d with Retry-After %q: %v after %s, want %s", status, value, err, f.After, want)
			}
		}
	}
}

func TestHang(t *testing.T) {
	vault := azuretest.New(host)
	vault.Rotate("release", azuretest.P256)
	key := open(t, "azurekms://"+host+"/release", typed(vault))
	hasty, err := signer.Guard(key, retry.Policy{Attempts: 2, PerAttempt: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	vault.Inject("sign", azuretest.Hang())
	if _, err := hasty.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil {
		t.Errorf("one hanging attempt: %v", err)
	}
	vault.Inject("sign", azuretest.Times(2, azuretest.Hang())...)
	_, err = hasty.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "timeout", "100ms")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	vault.Inject("sign", azuretest.Hang())
	_, err = key.Sign(ctx, signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "timeout", "cut short")
	ctx, cancel = context.WithCancel(t.Context())
	vault.Inject("get", azuretest.Hang())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = azurekms.Open(ctx, "azurekms://"+host+"/release", typed(vault))
	wantFault(t, err, fault.Undecided, "interrupted", "cut short")
}
