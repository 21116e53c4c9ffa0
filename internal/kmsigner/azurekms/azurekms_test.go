package azurekms_test

import (
	"crypto"
	"os"
	"strings"
	"testing"
	"time"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

const host = "acme.vault.azure.net"

var quick = retry.Policy{Attempts: 4, PerAttempt: 5 * time.Second, Base: time.Millisecond}

// typed reaches a vault without a network, through the SDK's fake.
func typed(vault *azuretest.Vault) azurekms.Options {
	return azurekms.Options{Transport: vault, Credential: &azfake.TokenCredential{}, Retry: quick,
		LookupEnv: func(string) (string, bool) { return "", false }}
}

func open(t *testing.T, uri string, opts azurekms.Options) *azurekms.Key {
	t.Helper()
	key, err := azurekms.Open(t.Context(), uri, opts)
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
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "must-not-show") {
		t.Errorf("%q is no single line without secrets", err)
	}
}

var specs = map[azuretest.Spec]signer.Algorithm{
	azuretest.P256:    signer.ECDSASHA256,
	azuretest.P256HSM: signer.ECDSASHA256,
	azuretest.P384:    signer.ECDSASHA384,
	azuretest.P521:    signer.ECDSASHA512,
	azuretest.RSA2048: signer.RSAPKCS1SHA256,
	azuretest.RSA3072: signer.RSAPKCS1SHA256,
	azuretest.RSA4096: signer.RSAPKCS1SHA256,
}

func TestContract(t *testing.T) {
	for spec, alg := range specs {
		if testing.Short() && spec == azuretest.RSA4096 {
			continue
		}
		t.Run(string(spec), func(t *testing.T) {
			vault := azuretest.New(host)
			kid := vault.Rotate("release", spec)
			opener := func(t *testing.T) signer.Key { return open(t, "azurekms://"+host+"/release", typed(vault)) }
			signertest.Run(t, opener, []signer.Algorithm{alg}, "fake_token")
			key := opener(t)
			if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(vault.Public(kid)) || key.ID() != kid {
				t.Errorf("%s is not the key %s", key.ID(), kid)
			}
		})
	}
}

// A curve has one hash at Azure, although others would fit it.
func TestHashOfAnotherCurve(t *testing.T) {
	vault := azuretest.New(host)
	for spec, alg := range map[azuretest.Spec]signer.Algorithm{
		azuretest.P256: signer.ECDSASHA384, azuretest.P384: signer.ECDSASHA256, azuretest.P521: signer.ECDSASHA384,
	} {
		vault.Rotate("release", spec)
		_, err := open(t, "azurekms://"+host+"/release", typed(vault)).Sign(t.Context(), alg, []byte("message"))
		wantFault(t, err, fault.Config, "algorithm_unsupported")
	}
	if n := vault.Count("sign"); n != 0 {
		t.Errorf("%d requests for what cannot work", n)
	}
}

func TestTypesThatAreRefused(t *testing.T) {
	for spec, says := range map[azuretest.Spec]string{azuretest.P256K: "P-256K", azuretest.Oct: "symmetric"} {
		vault := azuretest.New(host)
		kid := vault.Rotate("release", spec)
		_, err := azurekms.Open(t.Context(), "azurekms://"+host+"/release", typed(vault))
		wantFault(t, err, fault.Config, "key_type_unsupported", kid, says, "P-256, which every verifier reads")
	}
}

// The version is resolved once: a rotation between open and sign changes
// nothing for this run.
func TestVersions(t *testing.T) {
	vault := azuretest.New(host)
	first := vault.Rotate("Release", azuretest.P256)
	key := open(t, "azurekms://ACME.vault.azure.net/release", typed(vault))
	second := vault.Rotate("Release", azuretest.P384)
	sig, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	if err != nil || sig.KeyID != first || key.ID() != first || sig.RequestID == "" {
		t.Errorf("after a rotation: signed with %s in request %q, %v; want %s", sig.KeyID, sig.RequestID, err, first)
	}
	if got := open(t, "azurekms://"+host+"/release", typed(vault)).ID(); got != second {
		t.Errorf("without a version: %s, want %s", got, second)
	}
	version := first[strings.LastIndex(first, "/")+1:]
	if got := open(t, "azurekms://"+host+"/release/"+strings.ToUpper(version), typed(vault)).ID(); got != first {
		t.Errorf("with the version: %s, want %s", got, first)
	}
}

func TestManagedHSM(t *testing.T) {
	vault := azuretest.New("acme.managedhsm.usgovcloudapi.net")
	kid := vault.Rotate("release", azuretest.P256HSM)
	key := open(t, "azurekms://acme.managedhsm.usgovcloudapi.net/release", typed(vault))
	if sig, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, nil); err != nil || sig.KeyID != kid {
		t.Errorf("%+v, %v", sig, err)
	}
}

// One read of the key for a run, one call for a signature.
func TestCalls(t *testing.T) {
	vault := azuretest.New(host)
	vault.Rotate("release", azuretest.P256)
	guarded := guard(t, open(t, "azurekms://"+host+"/release", typed(vault)))
	for range 3 {
		if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
			t.Fatal(err)
		}
	}
	if vault.Count("get") != 1 || vault.Count("sign") != 3 {
		t.Errorf("%d reads and %d signatures, want 1 and 3", vault.Count("get"), vault.Count("sign"))
	}
}

// TestLive runs the contract against a real vault, when the environment names a
// key: SIGNGATE_LIVE_AZURE_KEY=azurekms://… and the AZURE_* variables.
func TestLive(t *testing.T) {
	uri := os.Getenv("SIGNGATE_LIVE_AZURE_KEY")
	if uri == "" {
		return
	}
	opener := func(t *testing.T) signer.Key { return open(t, uri, azurekms.Options{Retry: quick}) }
	for _, alg := range []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512, signer.RSAPKCS1SHA256} {
		if _, err := opener(t).Sign(t.Context(), alg, nil); err == nil {
			signertest.Run(t, opener, []signer.Algorithm{alg})
		} else if fault.CodeOf(err) != "algorithm_unsupported" {
			t.Error(err)
		}
	}
}
