package gcpkms_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// The fault matrix: what the service does wrong while it signs, how it ends
// behind the guard, and how many requests that takes.
func TestSignFaults(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	other, err := s.AddVersion(name, gcptest.P256)
	if err != nil {
		t.Fatal(err)
	}
	guarded := guard(t, s.open(t, name))
	one := func(f gcptest.Fault) []gcptest.Fault { return gcptest.Times(1, f) }
	for about, c := range map[string]struct {
		faults  []gcptest.Fault
		outcome fault.Outcome
		code    string
		says    string
		calls   int
	}{
		"throttled, then not":   {gcptest.Times(3, gcptest.Throttle("0.001s")), fault.Passed, "", "", 4},
		"throttled for long":    {gcptest.Times(4, gcptest.Throttle("")), fault.Undecided, "kms_throttled", "quota", 4},
		"429 of a proxy":        {gcptest.Times(4, gcptest.LoadBalancer(429)), fault.Undecided, "kms_throttled", "RESOURCE_EXHAUSTED", 4},
		"internal fault":        {one(gcptest.Internal()), fault.Passed, "", "", 2},
		"unavailable":           {one(gcptest.Unavailable()), fault.Passed, "", "", 2},
		"unavailable for long":  {gcptest.Times(4, gcptest.Unavailable()), fault.Undecided, "kms_unavailable", "currently unavailable", 4},
		"deadline":              {one(gcptest.Fail("DEADLINE_EXCEEDED", "late")), fault.Passed, "", "", 2},
		"unknown":               {one(gcptest.Fail("UNKNOWN", "")), fault.Passed, "", "", 2},
		"load balancer":         {one(gcptest.LoadBalancer(502)), fault.Passed, "", "", 2},
		"gateway timeout":       {one(gcptest.LoadBalancer(504)), fault.Passed, "", "", 2},
		"truncated":             {one(gcptest.Truncate()), fault.Passed, "", "", 2},
		"truncated for long":    {gcptest.Times(4, gcptest.Truncate()), fault.Undecided, "kms_unavailable", "broke off", 4},
		"a mix":                 {[]gcptest.Fault{gcptest.Throttle(""), gcptest.Internal(), gcptest.Truncate()}, fault.Passed, "", "", 4},
		"denied":                {one(gcptest.Deny("cloudkms.cryptoKeyVersions.useToSign", name)), fault.Undecided, "kms_access_denied", "roles/cloudkms.signer", 1},
		"no API":                {one(gcptest.Detail("PERMISSION_DENIED", "Cloud KMS API has not been used in project 1 before", "SERVICE_DISABLED")), fault.Undecided, "kms_access_denied", "gcloud services enable", 1},
		"not implemented":       {one(gcptest.Fail("UNIMPLEMENTED", "no")), fault.Undecided, "kms_unexpected", "UNIMPLEMENTED", 1},
		"aborted":               {one(gcptest.Fail("ABORTED", "no")), fault.Undecided, "kms_unexpected", "ABORTED", 1},
		"invalid":               {one(gcptest.Fail("INVALID_ARGUMENT", "what\nis this")), fault.Config, "kms_invalid_usage", "what is this (INVALID_ARGUMENT, request ", 1},
		"a page":                {one(gcptest.LoadBalancer(403)), fault.Undecided, "kms_unexpected", "HTTP status 403", 1},
		"a redirect":            {one(gcptest.LoadBalancer(302)), fault.Undecided, "kms_unexpected", "HTTP status 302", 1},
		"repeats the token":     {one(gcptest.Fail("INVALID_ARGUMENT", "Bearer "+token)), fault.Config, "kms_invalid_usage", "REDACTED", 1},
		"token as name":         {one(gcptest.Edit("name", token)), fault.Refused, "key_mismatch", "REDACTED", 1},
		"rejects the token":     {one(gcptest.Fail("UNAUTHENTICATED", token)), fault.Undecided, "google_credentials_rejected", "does not accept", 1},
		"disabled between":      {one(gcptest.Before(func(s *gcptest.Server) { s.SetState(name, gcptest.Disabled) })), fault.Refused, "kms_key_disabled", "is disabled", 1},
		"another version":       {one(gcptest.Edit("name", other)), fault.Refused, "key_mismatch", other, 1},
		"no name":               {one(gcptest.Edit("name", nil)), fault.Refused, "key_mismatch", `""`, 1},
		"corrupted, wrong sum":  {one(gcptest.CorruptSignature(false)), fault.Passed, "", "", 2},
		"corrupted for long":    {gcptest.Times(4, gcptest.CorruptSignature(false)), fault.Undecided, "kms_integrity", "checksum", 4},
		"corrupted, right sum":  {one(gcptest.CorruptSignature(true)), fault.Refused, "bad_signature", "does not verify", 1},
		"wrong sum":             {gcptest.Times(4, gcptest.Edit("signatureCrc32c", "1")), fault.Undecided, "kms_integrity", "does not match", 4},
		"no sum":                {one(gcptest.Edit("signatureCrc32c", nil)), fault.Undecided, "kms_integrity", "without its checksum", 1},
		"a number as sum":       {one(gcptest.Edit("signatureCrc32c", 1)), fault.Undecided, "kms_unexpected", "JSON", 1},
		"not confirmed":         {gcptest.Times(4, gcptest.Edit("verifiedDigestCrc32c", nil)), fault.Undecided, "kms_integrity", "confirm", 4},
		"the other confirmed":   {gcptest.Times(4, gcptest.Edit("verifiedDigestCrc32c", false)), fault.Undecided, "kms_integrity", "confirm", 4},
		"no signature":          {gcptest.Times(4, gcptest.Edit("signature", nil)), fault.Undecided, "kms_integrity", "does not match", 4},
		"not base64":            {one(gcptest.Edit("signature", "!")), fault.Undecided, "kms_unexpected", "JSON", 1},
		"a signature, too long": {one(gcptest.Edit("padding", strings.Repeat("x", 5<<20))), fault.Undecided, "kms_unexpected", "too long", 1},
	} {
		t.Run(about, func(t *testing.T) {
			s.SetState(name, gcptest.Enabled)
			before := s.Count("asymmetricSign")
			s.Inject("asymmetricSign", c.faults...)
			sig, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			} else if sig.KeyID != name {
				t.Errorf("signed by %s", sig.KeyID)
			}
			if calls := s.Count("asymmetricSign") - before; calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

func TestDataNotConfirmed(t *testing.T) {
	s := start(t)
	key := s.open(t, s.create(t, gcptest.Ed25519))
	s.Inject("asymmetricSign", gcptest.Edit("verifiedDataCrc32c", nil))
	_, err := key.Sign(t.Context(), signer.Ed25519, []byte("message"))
	wantFault(t, err, fault.Undecided, "kms_integrity", "confirm")
}

func TestStates(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	guarded := guard(t, s.open(t, name))
	for state, c := range map[gcptest.State]struct {
		outcome    fault.Outcome
		code, says string
	}{
		gcptest.Disabled:          {fault.Refused, "kms_key_disabled", "enable it, or set key to its replacement"},
		gcptest.DestroyScheduled:  {fault.Refused, "kms_key_disabled", "restore and enable it"},
		gcptest.Destroyed:         {fault.Refused, "kms_key_disabled", "current state is: DESTROYED"},
		gcptest.PendingGeneration: {fault.Undecided, "kms_unavailable", "not ready yet"},
	} {
		s.SetState(name, state)
		before := len(s.Requests())
		_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
		wantFault(t, err, c.outcome, c.code, c.says, name, "(FAILED_PRECONDITION, request ")
		_, err = gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
		wantFault(t, err, c.outcome, c.code, c.says, name)
		requests := 0
		for _, r := range s.Requests()[before:] {
			if r.Operation != "token" {
				requests++
			}
		}
		if requests != 2 {
			t.Errorf("%s: %d requests for two calls, want no repeats", state, requests)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	for about, c := range map[string]struct {
		algorithm gcptest.Algorithm
		faults    []gcptest.Fault
		outcome   fault.Outcome
		code      string
		says      string
	}{
		"fine":             {gcptest.P256, nil, fault.Passed, "", ""},
		"throttled":        {gcptest.P256, gcptest.Times(3, gcptest.Throttle("")), fault.Passed, "", ""},
		"denied":           {gcptest.P256, gcptest.Times(1, gcptest.Deny("cloudkms.cryptoKeyVersions.viewPublicKey", "x")), fault.Undecided, "kms_access_denied", "roles/cloudkms.publicKeyViewer"},
		"not there":        {gcptest.P256, gcptest.Times(1, gcptest.Fail("NOT_FOUND", "CryptoKey x not found.")), fault.Config, "kms_key_not_found", "key ring"},
		"another key":      {gcptest.P256, gcptest.Times(1, gcptest.Edit("name", "projects/evil")), fault.Refused, "key_mismatch", "projects/evil"},
		"no name":          {gcptest.P256, gcptest.Times(1, gcptest.Edit("name", nil)), fault.Refused, "key_mismatch", `""`},
		"wrong sum":        {gcptest.P256, gcptest.Times(4, gcptest.Edit("pemCrc32c", "7")), fault.Undecided, "kms_integrity", "does not match"},
		"wrong sum once":   {gcptest.P256, gcptest.Times(1, gcptest.Edit("pemCrc32c", "7")), fault.Passed, "", ""},
		"no sum":           {gcptest.P256, gcptest.Times(1, gcptest.Edit("pemCrc32c", nil)), fault.Undecided, "kms_integrity", "without"},
		"no key":           {gcptest.P256, []gcptest.Fault{gcptest.Edit("pem", "none"), gcptest.Edit("pem", "none"), gcptest.Edit("pem", "none"), gcptest.Edit("pem", "none")}, fault.Undecided, "kms_integrity", "does not match"},
		"two keys":         {gcptest.P256, gcptest.Times(1, gcptest.Change(twoKeys)), fault.Undecided, "kms_unexpected", "one PUBLIC KEY block"},
		"the first counts": {gcptest.P256, []gcptest.Fault{gcptest.Fail("INVALID_ARGUMENT", "first"), gcptest.Fail("INVALID_ARGUMENT", "second")}, fault.Config, "kms_invalid_usage", "first"},
		"another type":     {gcptest.P256, gcptest.Times(1, gcptest.Edit("algorithm", "EC_SIGN_P384_SHA384")), fault.Undecided, "kms_unexpected", "not of its algorithm"},
		"an odd name":      {gcptest.P256, gcptest.Times(1, gcptest.Edit("algorithm", "MustBeKnown")), fault.Config, "key_type_unsupported", "MustBeKnown"},
		"says ML-DSA":      {gcptest.P256, gcptest.Times(1, gcptest.Edit("algorithm", "PQ_SIGN_ML_DSA_65")), fault.Config, "kms_invalid_usage", "NIST_PQC"},
		"truncated":        {gcptest.P256, gcptest.Times(1, gcptest.Truncate()), fault.Passed, "", ""},
		"ML-DSA":           {gcptest.MLDSA65, nil, fault.Passed, "", ""},
		"no format":        {gcptest.MLDSA65, second(gcptest.Edit("publicKeyFormat", nil)), fault.Undecided, "kms_unexpected", "NIST_PQC"},
		"format PEM":       {gcptest.MLDSA65, second(gcptest.Edit("publicKeyFormat", "PEM")), fault.Undecided, "kms_unexpected", "NIST_PQC"},
		"no raw key":       {gcptest.MLDSA65, second(gcptest.Edit("publicKey", nil)), fault.Undecided, "kms_unexpected", "NIST_PQC"},
		"raw, no sum":      {gcptest.MLDSA65, second(gcptest.Edit("publicKey", raw(1952, ""))), fault.Undecided, "kms_integrity", "without"},
		"raw, wrong sum":   {gcptest.MLDSA65, second(gcptest.Edit("publicKey", raw(1952, "5"))), fault.Passed, "", ""},
		"raw, wrong size":  {gcptest.MLDSA65, second(gcptest.Edit("publicKey", raw(4, "1214729159"))), fault.Undecided, "kms_unexpected", "not of its algorithm"},
		"other parameters": {gcptest.MLDSA65, second(gcptest.Edit("algorithm", "PQ_SIGN_ML_DSA_87")), fault.Undecided, "kms_unexpected", "not of its algorithm"},
		"second denied":    {gcptest.MLDSA65, second(gcptest.Deny("x", "y")), fault.Undecided, "kms_access_denied", "publicKeyViewer"},
	} {
		t.Run(about, func(t *testing.T) {
			s := start(t)
			name := s.create(t, c.algorithm)
			s.Inject("getPublicKey", c.faults...)
			_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
			if c.outcome == fault.Passed && err != nil {
				t.Error(err)
			} else if c.outcome != fault.Passed {
				wantFault(t, err, c.outcome, c.code, c.says)
			}
		})
	}
}

// second is a fault of the request that follows the one without a format.
func second(f gcptest.Fault) []gcptest.Fault {
	return []gcptest.Fault{gcptest.Before(func(*gcptest.Server) {}), f}
}

// twoKeys doubles the PEM text, with a checksum that fits.
func twoKeys(answer map[string]any) {
	text := fmt.Sprint(answer["pem"], answer["pem"])
	answer["pem"], answer["pemCrc32c"] = text, fmt.Sprint(crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

// TestRetryDelay: what the service asks for is waited for.
func TestRetryDelay(t *testing.T) {
	s := start(t)
	guarded := guard(t, s.open(t, s.create(t, gcptest.P256)))
	s.Inject("asymmetricSign", gcptest.Throttle("0.2s"))
	began := time.Now()
	if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, nil); err != nil || time.Since(began) < 200*time.Millisecond {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func raw(size int, sum string) map[string]any {
	out := map[string]any{"data": base64.StdEncoding.EncodeToString(make([]byte, size))}
	if sum != "" {
		out["crc32cChecksum"] = sum
	}
	return out
}

// TestHang: a service that does not answer costs the time of the attempts, and
// the caller's end is reported as that.
func TestHang(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	key := s.open(t, name)
	s.Inject("asymmetricSign", gcptest.Hang(), gcptest.Hang(), gcptest.Hang())
	patient, err := signer.Guard(key, retry.Policy{Attempts: 2, PerAttempt: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = patient.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "timeout", "100ms")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = key.Sign(ctx, signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "interrupted", name)
}

func TestUnreachable(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	key := s.open(t, name)
	s.Close()
	_, err := key.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "kms_unavailable", "did not answer")
	if !fault.IsTransient(err) {
		t.Error("it is not transient")
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("%v shows the URL", err)
	}
}

func TestTLS(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	s.env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] = secure.URL
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
	wantFault(t, err, fault.Undecided, "kms_tls", "not trusted")
	s.Transport = secure.Client().Transport
	if _, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options); err != nil {
		t.Error(err)
	}
}

// TestRedirectsKeepToken: the token stays with the endpoint.
func TestRedirectsKeepToken(t *testing.T) {
	s := start(t)
	name := s.create(t, gcptest.P256)
	var asked bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	s.env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] = redirecting.URL
	_, err := gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
	wantFault(t, err, fault.Undecided, "kms_unexpected", "307")
	file := strings.ReplaceAll(string(s.Credentials(gcptest.Login)), s.URL, redirecting.URL)
	s.env["GOOGLE_APPLICATION_CREDENTIALS"] = write(t, []byte(file))
	_, err = gcpkms.Open(t.Context(), "gcpkms://"+name, s.Options)
	wantFault(t, err, fault.Undecided, "google_credentials_failed", "307")
	if asked {
		t.Error("a redirect was followed")
	}
}

func TestExpiredToken(t *testing.T) {
	s := start(t)
	key := s.open(t, s.create(t, gcptest.P256))
	s.ExpireToken()
	_, err := key.Sign(t.Context(), signer.ECDSASHA256, nil)
	wantFault(t, err, fault.Undecided, "google_credentials_rejected", "google-github-actions/auth", "GOOGLE_APPLICATION_CREDENTIALS")
}
