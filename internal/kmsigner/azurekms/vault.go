package azurekms

import (
	"context"
	"os"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
)

// vault is the vault of a key and how it is reached.
type vault struct {
	ref    reference
	login  *login
	client *azkeys.Client
}

// connect prepares everything and sends nothing.
func connect(uri string, opts Options) (*vault, error) {
	ref, err := parse(uri)
	if err != nil {
		return nil, err
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	carrier := opts.Transport
	if carrier == nil {
		carrier = direct()
	}
	// The guard retries, so the SDK does not.
	o := azcore.ClientOptions{
		Cloud:     ref.place.config,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: transport{carrier, ref.host, ref.place.logins},
	}
	identity, err := newLogin(ref, opts, carrier, o)
	if err != nil {
		return nil, err
	}
	o.PerCallPolicies = []policy.Policy{runtime.NewRequestIDPolicy()}
	// The resource of a challenge has to be the vault's own, as by default.
	client, err := azkeys.NewClient("https://"+ref.host, identity, &azkeys.ClientOptions{ClientOptions: o})
	if err != nil {
		return nil, fault.Configf("azure_config_invalid", "check the AZURE_* variables of the step", "the Azure SDK has no client for %s", ref.host)
	}
	return &vault{ref, identity, client}, nil
}

// read reads the key, in its current version if the reference has none.
func (v *vault) read(ctx context.Context, again retry.Policy) (azkeys.KeyBundle, error) {
	var out azkeys.GetKeyResponse
	err := again.Do(ctx, "reading the public key of "+v.ref.String(), func(ctx context.Context) (err error) {
		out, err = v.client.GetKey(ctx, v.ref.name, v.ref.version, nil)
		return v.explain(ctx, "get", v.ref.String(), err)
	})
	return out.KeyBundle, err
}

// usable refuses a key that the vault itself says it will not sign with. The
// validity period is left to the vault, whose clock decides.
func usable(id string, bundle azkeys.KeyBundle) error {
	if a := bundle.Attributes; a != nil && a.Enabled != nil && !*a.Enabled {
		return fault.Refusedf("kms_key_disabled", "enable it, or set key to its replacement and update expected-key",
			"the Azure key %s is disabled", id)
	}
	if !signs(bundle.Key) {
		return fault.Configf("kms_invalid_usage", "use a key whose key operations include sign, or add sign to those of this one",
			"the key operations of the Azure key %s are %s, so it cannot sign", id, operations(bundle.Key))
	}
	return nil
}

// signs reports whether the operations of a key include signing.
func signs(jwk *azkeys.JSONWebKey) bool {
	return slices.ContainsFunc(jwk.KeyOps, func(op *azkeys.KeyOperation) bool { return op != nil && *op == azkeys.KeyOperationSign })
}
