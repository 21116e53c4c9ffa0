// Package azurekms signs with keys of Azure Key Vault and Managed HSM.
//
// A key is named as in cosign: azurekms://VAULT-HOST/NAME[/VERSION]. The host
// decides the cloud. Open reads the public key once, which also resolves the
// version; from then on the key is its identifier with that version (kid),
// whatever a rotation makes the current one.
//
// The vault sees the digest of a message and never the message. The type of a
// key decides the algorithm: ES256, ES384 or ES512 by curve, RS256 for RSA. Key
// Vault has no Ed25519 and no ML-DSA.
//
// Credentials are explicit, see newLogin: nothing looks for a managed identity.
// The token goes to the vault of the URI alone, and the proof of identity to
// the login hosts of its cloud. HTTP redirects are not followed.
//
// Each Sign is one attempt; faults that may pass are marked as transient for
// signer.Guard. They name the request for the logs of the vault, where
// it is the correlationId, and hold no secret.
package azurekms

import (
	"context"
	"crypto"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// Options says how Open and Examine work.
type Options struct {
	// LookupEnv returns an environment variable and whether it is set; nil
	// is os.LookupEnv.
	LookupEnv func(name string) (string, bool)

	// Notice is told, in one sentence, what a user may want to know, like
	// a variable that does not apply. It may be nil.
	Notice func(text string)

	// Mask is given each secret before it is used. It may be nil.
	Mask func(secrets ...string)

	// Retry governs how the public key is read, and the trial signature of
	// Examine. Sign does not retry.
	Retry retry.Policy

	// Transport carries all calls: to the vault, to Entra ID and to the
	// runner's OIDC service. Nil is net/http, which honours HTTPS_PROXY. It
	// must not follow redirects.
	Transport policy.Transporter

	// Credential replaces the credentials of the environment, for tests.
	Credential azcore.TokenCredential

	// IDToken returns an OIDC token of the workflow for an audience; nil
	// asks GitHub's runner, as ACTIONS_ID_TOKEN_REQUEST_URL says.
	IDToken func(ctx context.Context, audience string) (string, error)
}

// Key is one version of a key in a vault. It is a signer.Key.
type Key struct {
	vault  *vault
	id     identity
	public crypto.PublicKey
	alg    signer.Algorithm
}

// Open resolves the key that uri names and fetches its public key.
func Open(ctx context.Context, uri string, opts Options) (*Key, error) {
	v, err := connect(uri, opts)
	if err != nil {
		return nil, err
	}
	bundle, err := v.read(ctx, opts.Retry)
	if err != nil {
		return nil, err
	}
	return newKey(v, bundle)
}

func newKey(v *vault, bundle azkeys.KeyBundle) (*Key, error) {
	id, err := v.identify(bundle.Key)
	if err != nil {
		return nil, err
	}
	public, alg, err := publicKey(id.String(), bundle.Key)
	if err != nil {
		return nil, err
	}
	if err := usable(id.String(), bundle); err != nil {
		return nil, err
	}
	return &Key{vault: v, id: id, public: public, alg: alg}, nil
}

// identify returns the key that was answered, which has to be the one that was
// asked for.
func (v *vault) identify(jwk *azkeys.JSONWebKey) (identity, error) {
	kid := ""
	if jwk != nil && jwk.KID != nil {
		kid = string(*jwk.KID)
	}
	id, ok := parseKID(kid)
	if !ok || !v.ref.mayBe(id) {
		return identity{}, fault.Refusedf("key_mismatch", "nothing was signed; check that no proxy sits between signgate and the vault",
			"asked Azure for the public key of %s, but it answered with that of %q", v.ref, clean(kid))
	}
	return id, nil
}

// ID returns the key identifier with its version.
func (k *Key) ID() string { return k.id.String() }

// Public returns the public key that Open fetched.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign makes one attempt to sign message. The vault does not report the
// algorithm, so Signature.Algorithm is the one that was asked for.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if alg != k.alg {
		return signer.Signature{}, signer.ErrUnsupported(k.ID(), alg, k.public)
	}
	name := azureAlgorithms[alg]
	var answer *http.Response
	out, err := k.vault.client.Sign(policy.WithCaptureResponse(ctx, &answer), k.id.name, k.id.version,
		azkeys.SignParameters{Algorithm: &name, Value: alg.Digest(message)}, nil)
	if err != nil {
		return signer.Signature{}, k.vault.explain(ctx, "sign", k.ID(), err)
	}
	sig := signer.Signature{Algorithm: alg, RequestID: requestID(answer)}
	if out.KID != nil {
		sig.KeyID = clean(string(*out.KID))
	}
	if id, ok := parseKID(sig.KeyID); !ok || !k.is(id) {
		return sig, nil // for the guard to refuse
	}
	sig.KeyID = k.ID()
	sig.Bytes, err = encode(k.ID(), k.public, out.Result)
	return sig, err
}

// is reports whether id is this key, however the service spells its name.
func (k *Key) is(id identity) bool {
	return id.host == k.id.host && id.version == k.id.version && strings.EqualFold(id.name, k.id.name)
}
