package gcpkms_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/signer"
)

var update = flag.Bool("update", false, "write testdata/errors.golden")

const goldenFile = "testdata/errors.golden"

// bad is one row of the error table: what is wrong with the enabled P-256 key
// that is name, and which key is then opened and signed with.
type bad struct {
	name  string
	wrong func(t *testing.T, s *setup, name string) (key string)
}

func state(name string, state gcptest.State) bad {
	return bad{name, func(_ *testing.T, s *setup, key string) string { s.SetState(key, state); return key }}
}

func onCall(name, operation string, faults ...gcptest.Fault) bad {
	return bad{name, func(_ *testing.T, s *setup, key string) string { s.Inject(operation, faults...); return key }}
}

func env(name, variable, value string) bad {
	return bad{name, func(_ *testing.T, s *setup, key string) string { s.env[variable] = value; return key }}
}

func algorithm(algorithm gcptest.Algorithm) bad {
	return bad{string(algorithm), func(t *testing.T, s *setup, _ string) string { return s.create(t, algorithm) }}
}

func without(part string) bad {
	return bad{"without " + part, func(_ *testing.T, _ *setup, key string) string { return strings.Replace(key, part, "", 1) }}
}

const resource = "projects/acme-prod/locations/europe-west1/keyRings/release/cryptoKeys/images_1"

var table = []bad{
	state("disabled", gcptest.Disabled),
	state("destroyed", gcptest.Destroyed),
	state("scheduled for destruction", gcptest.DestroyScheduled),
	state("not generated yet", gcptest.PendingGeneration),
	{"missing version", func(_ *testing.T, _ *setup, key string) string { return key + "1" }},
	{"no enabled version", func(_ *testing.T, s *setup, key string) string {
		s.SetState(key, gcptest.Disabled)
		return strings.TrimSuffix(key, "/cryptoKeyVersions/1")
	}},
	without("/keyRings/release"),
	algorithm(gcptest.RSAPSS2048), algorithm(gcptest.Secp256k1), algorithm(gcptest.SLHDSA), algorithm(gcptest.GoogleSymmetric),
	onCall("SHA-512", "getPublicKey", gcptest.Edit("algorithm", "RSA_SIGN_PKCS1_4096_SHA512")),
	onCall("HMAC", "getPublicKey", gcptest.Edit("algorithm", "HMAC_SHA256")),
	env("no credentials", credentials, ""),
	env("no credentials file", credentials, "/home/runner/work/gha-creds.json"),
	env("text for a file", credentials, "{}"),
	env("endpoint without TLS", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", "http://kms.example.com/"),
	env("no endpoint", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", "kms.example.com"),
	onCall("no token", "token", gcptest.Fail("PERMISSION_DENIED", "")),
	onCall("token rejected", "getPublicKey", gcptest.Fail("UNAUTHENTICATED", "")),
	onCall("may not read", "getPublicKey", gcptest.Deny("cloudkms.cryptoKeyVersions.viewPublicKey", resource)),
	onCall("may not sign", "asymmetricSign", gcptest.Deny("cloudkms.cryptoKeyVersions.useToSign", resource)),
	{"may not list", func(_ *testing.T, s *setup, key string) string {
		s.Inject("cryptoKeyVersions.list", gcptest.Deny("cloudkms.cryptoKeyVersions.list", resource))
		return strings.TrimSuffix(key, "/cryptoKeyVersions/1")
	}},
	onCall("API not enabled", "getPublicKey", gcptest.Detail("PERMISSION_DENIED", "Cloud Key Management Service (KMS) API has not been used in project 1 before or it is disabled.", "SERVICE_DISABLED")),
	onCall("throttled", "asymmetricSign", gcptest.Times(4, gcptest.Throttle(""))...),
	onCall("unavailable", "asymmetricSign", gcptest.Times(4, gcptest.Unavailable())...),
	onCall("broken off", "asymmetricSign", gcptest.Times(4, gcptest.Truncate())...),
	onCall("invalid argument", "asymmetricSign", gcptest.Fail("INVALID_ARGUMENT", "Request contains an invalid argument.")),
	onCall("unknown status", "asymmetricSign", gcptest.Fail("ABORTED", "")),
	onCall("a page", "asymmetricSign", gcptest.LoadBalancer(403)),
	onCall("another version", "asymmetricSign", gcptest.Edit("name", resource+"/cryptoKeyVersions/9")),
	onCall("another public key", "getPublicKey", gcptest.Edit("name", resource+"/cryptoKeyVersions/9")),
	onCall("no checksum", "asymmetricSign", gcptest.Edit("signatureCrc32c", nil)),
	onCall("wrong checksum", "asymmetricSign", gcptest.Times(4, gcptest.CorruptSignature(false))...),
	onCall("not confirmed", "asymmetricSign", gcptest.Times(4, gcptest.Edit("verifiedDigestCrc32c", nil))...),
	onCall("corrupted signature", "asymmetricSign", gcptest.CorruptSignature(true)),
}

// TestErrorTable compares each error with its recorded text. Run it with
// -update after a change, and read the difference.
func TestErrorTable(t *testing.T) {
	var out strings.Builder
	for _, row := range table {
		s := start(t)
		key := row.wrong(t, s, s.create(t, gcptest.P256))
		err := use(t, s, key)
		if err == nil {
			t.Errorf("%s: no error", row.name)
			continue
		}
		noSecret(t, err.Error())
		fmt.Fprintf(&out, "%s\n  exit %d, %s\n  %s\n\n", row.name, fault.OutcomeOf(err), fault.CodeOf(err), normalise(s, err.Error()))
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil || string(want) != out.String() {
		t.Errorf("%v; got\n%s", err, out.String())
	}
}

func use(t *testing.T, s *setup, key string) error {
	k, err := gcpkms.Open(t.Context(), "gcpkms://"+key, s.Options)
	if err != nil {
		return err
	}
	_, err = guard(t, k).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	return err
}

var requestID = regexp.MustCompile(`request ("?)[0-9a-f]{16}`)

func normalise(s *setup, text string) string {
	return strings.ReplaceAll(requestID.ReplaceAllString(text, "request ${1}ID"), strings.TrimPrefix(s.URL, "http://"), "HOST")
}
