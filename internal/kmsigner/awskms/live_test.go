//go:build live

package awskms_test

import (
	"os"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

// TestLive runs the contract and doctor against AWS itself, with the credentials
// of the environment:
//
//	SIGNGATE_LIVE_AWS_KEY=awskms:///alias/test go test -tags live -run TestLive ./internal/kmsigner/awskms
//
// It makes about thirty signatures, which AWS bills, and needs kms:Sign,
// kms:GetPublicKey and kms:DescribeKey. It is not compiled without the tag, and
// with it a missing variable is a failure.
func TestLive(t *testing.T) {
	uri := os.Getenv("SIGNGATE_LIVE_AWS_KEY")
	if uri == "" {
		t.Fatal("SIGNGATE_LIVE_AWS_KEY does not name a key")
	}
	opts := awskms.Options{Retry: retry.Policy{Attempts: 4, PerAttempt: 10 * time.Second, Base: 500 * time.Millisecond}}
	opener := func(t *testing.T) signer.Key {
		t.Helper()
		key, err := awskms.Open(t.Context(), uri, opts)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := opener(t)
	var secrets []string // an empty one would be in every text
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if value := os.Getenv(name); value != "" {
			secrets = append(secrets, value)
		}
	}
	signertest.Run(t, opener, []signer.Algorithm{algorithmFor(t, key)}, secrets...)
	for _, c := range awskms.Examine(t.Context(), uri, opts) {
		t.Logf("%-4s %s: %s; %s", c.Status, c.Name, c.Fact, c.Next)
		if c.Status == signer.Fail {
			t.Errorf("doctor: %s fails", c.Name)
		}
	}
}

// algorithmFor returns what AWS KMS signs with for the key's type: of the three
// hashes that fit any curve, AWS has the one of the curve.
func algorithmFor(t *testing.T, key signer.Key) signer.Algorithm {
	t.Helper()
	byCurve := map[string]signer.Algorithm{"P-256": signer.ECDSASHA256, "P-384": signer.ECDSASHA384, "P-521": signer.ECDSASHA512}
	if alg, ok := byCurve[signer.KeyType(key.Public())]; ok {
		return alg
	}
	for _, alg := range specs {
		if alg.Fits(key.Public()) {
			return alg
		}
	}
	t.Fatalf("no algorithm for %s", signer.KeyType(key.Public()))
	return ""
}
