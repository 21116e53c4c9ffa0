package awskms_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

var update = flag.Bool("update", false, "write testdata/errors.golden")

const goldenFile = "testdata/errors.golden"

// bad is one row of the error table: what is wrong, and the call that finds out.
// The server holds the enabled P-256 key arn under alias/release.
type bad struct {
	name  string
	wrong func(t *testing.T, s *kmstest.Server, arn string) (key string)
}

// state returns a row for a key in a state.
func state(name string, state kmstest.State) bad {
	return bad{name, func(_ *testing.T, s *kmstest.Server, arn string) string { s.SetState(arn, state); return arn }}
}

// onOpen and onSign return rows for scripted faults.
func onOpen(name string, faults ...kmstest.Fault) bad {
	return bad{name, func(_ *testing.T, s *kmstest.Server, arn string) string {
		s.Inject("GetPublicKey", faults...)
		return arn
	}}
}

func onSign(name string, faults ...kmstest.Fault) bad {
	return bad{name, func(_ *testing.T, s *kmstest.Server, arn string) string { s.Inject("Sign", faults...); return arn }}
}

// env returns a row for variables of the environment.
func env(name, key string, variables ...string) bad {
	return bad{name, func(t *testing.T, _ *kmstest.Server, arn string) string {
		for i := 0; i < len(variables); i += 2 {
			t.Setenv(variables[i], variables[i+1])
		}
		return cmp.Or(key, arn)
	}}
}

var table = []bad{
	state("disabled", kmstest.Disabled),
	state("pending deletion, KMSInvalidStateException", kmstest.PendingDeletion),
	onOpen("pending deletion, DisabledException", kmstest.PendingDeletionDisabled("KEY")),
	state("creating replica", kmstest.Creating),
	state("pending import", kmstest.PendingImport),
	state("unavailable", kmstest.StateUnavailable),
	{"missing key", func(_ *testing.T, _ *kmstest.Server, arn string) string { return arn[:len(arn)-12] + "000000000000" }},
	env("missing alias", "alias/none"),
	{"wrong usage", func(_ *testing.T, s *kmstest.Server, arn string) string {
		s.SetUsage(arn, "ENCRYPT_DECRYPT")
		return arn
	}},
	{"symmetric", func(t *testing.T, s *kmstest.Server, _ string) string { return create(t, s, kmstest.Symmetric) }},
	onOpen("secp256k1", kmstest.Edit("KeySpec", "ECC_SECG_P256K1")),
	onOpen("SM2", kmstest.Edit("KeySpec", "SM2")),
	{"key of another Region", func(_ *testing.T, _ *kmstest.Server, arn string) string {
		return strings.Replace(arn, "eu-west-1", "us-east-1", 1)
	}},
	onOpen("wrong Region, as AWS says it", kmstest.Fail("NotFoundException", "Invalid arn us-east-1")),
	env("no Region", "alias/release", "AWS_REGION", ""),
	env("no credentials", "", "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", "AWS_SESSION_TOKEN", ""),
	env("wrong secret", "", "AWS_SECRET_ACCESS_KEY", "x"),
	env("FIPS and an endpoint", "", "AWS_USE_FIPS_ENDPOINT", "true"),
	onSign("expired session", kmstest.Expire()),
	onOpen("access denied to read", kmstest.Deny()),
	onSign("access denied to sign", kmstest.Deny()),
	onSign("throttled beyond the budget", kmstest.Times(4, kmstest.Throttle())...),
	onSign("broken beyond the budget", kmstest.Times(4, kmstest.Internal())...),
	onSign("hanging beyond the deadline", kmstest.Times(4, kmstest.Hang())...),
	env("unreachable endpoint", "", "AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1"),
	{"alias moved", func(t *testing.T, s *kmstest.Server, _ string) string {
		s.Alias("alias/release", create(t, s, kmstest.P256))
		return "alias/release"
	}},
	{"another key answers", func(t *testing.T, s *kmstest.Server, arn string) string {
		s.Inject("Sign", kmstest.OtherKey(create(t, s, kmstest.P256)))
		return arn
	}},
	onSign("corrupted signature", kmstest.CorruptSignature()),
	onSign("unknown error code", kmstest.Fail("NewException", "what is this")),
	env("failover of a single-Region key", "1234abcd-12ab-34cd-56ef-1234567890ab?failover=us-east-1"),
	env("failover to another partition", "mrk-1234abcd12ab34cd56ef1234567890ab?failover=cn-north-1", "AWS_ENDPOINT_URL_KMS", ""),
	env("failover behind one endpoint", "mrk-1234abcd12ab34cd56ef1234567890ab?failover=us-east-1"),
	env("no key", "release"),
}

// TestErrorTable compares what a user reads with testdata/errors.golden: the text
// (what, which key, why, next step), the code and the exit code of every row.
func TestErrorTable(t *testing.T) {
	var b strings.Builder
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			server := start(t)
			arn := create(t, server, kmstest.P256)
			server.Alias("alias/release", arn)
			pin, err := signer.Fingerprint(server.Public(arn))
			if err != nil {
				t.Fatal(err)
			}
			err = wholeRun(t.Context(), "awskms:///"+row.wrong(t, server, arn), pin)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token) {
				t.Error("the message shows a secret")
			}
			fmt.Fprintf(&b, "%s\n  exit %d, %s\n  %s\n\n", row.name, int(fault.OutcomeOf(err)), fault.CodeOf(err), normal(err.Error()))
		})
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the errors differ from %s; run: go test ./internal/kmsigner/awskms -run ErrorTable -update, and look at the difference. Now:\n%s", goldenFile, b.String())
	}
}

// wholeRun opens the key, compares the pin and signs, as a run does.
func wholeRun(ctx context.Context, uri, pin string) error {
	policy := retry.Policy{Attempts: 4, PerAttempt: 150 * time.Millisecond, Base: time.Millisecond}
	key, err := awskms.Open(ctx, uri, awskms.Options{Retry: policy})
	if err != nil {
		return err
	}
	guarded, err := signer.Guard(key, policy)
	if err != nil {
		return err
	}
	if err := signer.CheckPins([]*signer.Signer{guarded}, []string{pin}); err != nil {
		return err
	}
	_, err = guarded.Sign(ctx, signer.ECDSASHA256, []byte("message"))
	return err
}

var changing = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`request "?[0-9a-f-]{36}"?`), "request REQUEST"},
	{regexp.MustCompile(`000000000000`), "MISSING"},
	{regexp.MustCompile(`1234abcd-12ab-34cd-56ef-1234567890ab`), "KEY-ID"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-(?:[0-9a-f]{12}|MISSING)`), "KEY-ID"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:FINGERPRINT"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]{4,5}`), "127.0.0.1:PORT"},
}

// normal replaces what differs from run to run.
func normal(text string) string {
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.as)
	}
	return text
}
