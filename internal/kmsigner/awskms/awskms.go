// Package awskms signs with asymmetric keys of AWS KMS.
//
// A key is named as in cosign: awskms:///KEY or awskms://HOST/KEY, where KEY is
// a key ID, a key ARN, an alias (alias/release) or an alias ARN. The Region is
// that of the ARN, else of ?region=, else of the environment or the profile.
// Open reads the public key once, which also resolves an alias; from then on
// the key is its ARN, wherever the alias goes.
//
// The key spec decides the algorithm: AWS KMS has one hash for each NIST curve.
// ECDSA and RSA keys see only the digest of a message, Ed25519 keys see the
// message, which may have 4096 bytes.
//
// Credentials and endpoints are those of the AWS SDK (environment, shared
// files, web identity), but the metadata service of EC2 is asked only after
// ?imds=true or AWS_EC2_METADATA_DISABLED=false. An endpoint that is not AWS's
// own is used and reported by RedirectedTo. HTTP redirects are not followed.
//
// Each Sign is one attempt; faults that may pass are marked as transient for
// signer.Guard. Faults are told apart by the error code of the service, never
// by the HTTP status, name the request for CloudTrail, and hold no secret.
package awskms

import (
	"context"
	"crypto"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// Options says how Open works.
type Options struct {
	// LookupEnv returns an environment variable and whether it is set; nil
	// is os.LookupEnv. It answers for the Region and the metadata service
	// only: the SDK finds credentials and endpoints in the environment of
	// the process.
	LookupEnv func(name string) (string, bool)

	// Notice is told, in one sentence, what a user may want to know, like a
	// Region of the environment that the key's ARN overrules. It may be nil.
	Notice func(text string)

	// HTTPClient carries the calls to AWS KMS; nil is the SDK's, which
	// honours HTTPS_PROXY and AWS_CA_BUNDLE.
	HTTPClient *http.Client

	// Retry governs how Open reads the public key. Sign does not retry.
	Retry retry.Policy
}

// Key is a key of AWS KMS. It is a signer.Key and a signer.Redirected.
type Key struct {
	client     *kms.Client
	arn        string
	public     crypto.PublicKey
	algorithms []types.SigningAlgorithmSpec
	redirected string
}

// Open resolves the key that uri names and fetches its public key.
func Open(ctx context.Context, uri string, opts Options) (*Key, error) {
	ref, err := parse(uri)
	if err != nil {
		return nil, err
	}
	client, err := newClient(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	var out *kms.GetPublicKeyOutput
	err = opts.Retry.Do(ctx, "reading the public key of "+ref.key, func(ctx context.Context) (err error) {
		out, err = client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &ref.key})
		return explain(ctx, call{"GetPublicKey", ref.key, client.Options().Region}, err)
	})
	if err != nil {
		return nil, err
	}
	return newKey(client, ref, out)
}

func newKey(client *kms.Client, ref reference, out *kms.GetPublicKeyOutput) (*Key, error) {
	arn := aws.ToString(out.KeyId)
	if !ref.mayBe(arn, client.Options().Region) {
		return nil, fault.Refusedf("key_mismatch", "nothing was signed; check that no proxy or endpoint override sits between signgate and AWS KMS",
			"asked AWS KMS for the public key of %s, but it answered with that of %q", ref.key, clean(arn))
	}
	if err := checkSpec(arn, out); err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil || signer.KeyType(public) != specs[out.KeySpec] {
		return nil, fault.Undecidedf("kms_unexpected", "try again; if it stays, check what answers in place of AWS KMS",
			"AWS KMS returned a public key for %s that is not of its key spec %s", arn, out.KeySpec)
	}
	return &Key{client: client, arn: arn, public: public, algorithms: out.SigningAlgorithms, redirected: overriding(client)}, nil
}

// ID returns the key ARN.
func (k *Key) ID() string { return k.arn }

// Public returns the public key that Open fetched.
func (k *Key) Public() crypto.PublicKey { return k.public }

// RedirectedTo returns the endpoint that the URI, the environment or the
// profile puts in the place of AWS's own, without any user information in it,
// or "".
func (k *Key) RedirectedTo() string { return k.redirected }

// Sign makes one attempt to sign message.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if !k.can(alg) {
		return signer.Signature{}, signer.ErrUnsupported(k.arn, alg, k.public)
	}
	in, err := k.input(alg, message)
	if err != nil {
		return signer.Signature{}, err
	}
	out, err := k.client.Sign(ctx, in)
	if err != nil {
		return signer.Signature{}, explain(ctx, call{"Sign", k.arn, k.client.Options().Region}, err)
	}
	request, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	return signer.Signature{
		Bytes:     out.Signature,
		KeyID:     aws.ToString(out.KeyId),
		Algorithm: algorithmOf(out.SigningAlgorithm),
		RequestID: request,
	}, nil
}

// input hashes message here, so that its size does not matter, unless the key
// has to see it.
func (k *Key) input(alg signer.Algorithm, message []byte) (*kms.SignInput, error) {
	in := &kms.SignInput{KeyId: &k.arn, Message: alg.Digest(message), MessageType: types.MessageTypeDigest, SigningAlgorithm: awsAlgorithms[alg]}
	if alg.Hash() != 0 {
		return in, nil
	}
	in.MessageType = types.MessageTypeRaw
	if in.Message == nil {
		in.Message = []byte{} // nil is "not given" for the SDK
	}
	if n := len(message); n > maxRaw {
		return nil, fault.Configf("message_too_long", "use a P-256 key, for which only a digest is sent",
			"AWS KMS signs at most %d bytes with the Ed25519 key %s, but there are %d", maxRaw, k.arn, n)
	}
	return in, nil
}

// overriding returns the endpoint that takes the place of AWS's own. The SDK
// has put together what environment and profile say.
func overriding(client *kms.Client) string {
	endpoint := aws.ToString(client.Options().BaseEndpoint)
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return "" // Open fails on what is no URL
	}
	u.User = nil
	return strings.TrimSuffix(u.String(), "/")
}
