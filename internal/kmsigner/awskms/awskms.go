// Package awskms signs with asymmetric keys of AWS KMS.
//
// A key is named as in cosign: awskms:///KEY or awskms://HOST/KEY, where KEY is
// a key ID, a key ARN, an alias (alias/release) or an alias ARN. The Region is
// that of the ARN, else of ?region=, else of the environment or the profile.
// Open reads the public key once, which also resolves an alias; from then on
// the key is its ARN, wherever the alias goes.
//
// The key spec decides the algorithm: AWS KMS has one hash for each NIST curve.
// ECDSA and RSA keys see only the digest of a message, ML-DSA keys its external
// μ, Ed25519 keys the message, which may have 4096 bytes.
//
// ?failover=us-east-1,… names other Regions of a multi-Region key. They are
// asked when a Region throttles, answers 5xx or nothing, or has no access to the
// key for the moment; never when the key is disabled, in another state or
// missing, or the caller may not use it, because that would lead around a
// revocation. The identity of the key stays its ARN in the Region that was asked
// for: key ID, material and public key are the same in all of them (Multi-Region
// keys, AWS KMS developer guide), and the public key is compared before a
// replica signs. The request ID of a signature made elsewhere starts with that
// Region and a slash, as CloudTrail has one log for each.
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
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/memo"
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
	// Region of the environment that the key's ARN overrules, or a Region that
	// is left. It may be nil. Sign may call it from any goroutine, one at a time.
	Notice func(text string)

	// HTTPClient carries the calls to AWS KMS; nil is the SDK's, which
	// honours HTTPS_PROXY and AWS_CA_BUNDLE.
	HTTPClient *http.Client

	// Retry governs how Open reads the public key. Sign does not retry.
	Retry retry.Policy
}

// Key is a key of AWS KMS. It is a signer.Key and a signer.Redirected.
type Key struct {
	regions    *regions
	arn        string // in the Region that was asked for
	public     crypto.PublicKey
	spec       types.KeySpec
	algorithms []types.SigningAlgorithmSpec
	from       *site // where public was read
	replicas   memo.Memo[string, struct{}]
}

// Open resolves the key that uri names and fetches its public key.
func Open(ctx context.Context, uri string, opts Options) (*Key, error) {
	ref, err := parse(uri)
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	r, err := newRegions(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	return open(ctx, ref, r, opts.Retry)
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	return o
}

func open(ctx context.Context, ref reference, r *regions, policy retry.Policy) (*Key, error) {
	var out *kms.GetPublicKeyOutput
	var at *site
	err := policy.Do(ctx, "reading the public key of "+ref.key, func(ctx context.Context) (err error) {
		out, at, err = r.fetch(ctx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	there := ref.in(at.region)
	arn := aws.ToString(out.KeyId)
	if !there.mayBe(arn, at.region) {
		return nil, fault.Refusedf("key_mismatch", "nothing was signed; check that no proxy or endpoint override sits between signgate and AWS KMS",
			"asked AWS KMS for the public key of %s, but it answered with that of %q", there.key, clean(arn))
	}
	if len(ref.failover) > 0 && !multiName.MatchString(arn) {
		return nil, notMulti(arn)
	}
	return newKey(r, at, inRegion(arn, r.sites[0].region), out)
}

func newKey(r *regions, at *site, arn string, out *kms.GetPublicKeyOutput) (*Key, error) {
	if err := checkSpec(arn, out.KeyUsage, out.KeySpec); err != nil {
		return nil, err
	}
	public, err := signer.ParsePublicKey(out.PublicKey)
	if err != nil || signer.KeyType(public) != specs[out.KeySpec].keyType {
		return nil, fault.Undecidedf("kms_unexpected", "try again; if it stays, check what answers in place of AWS KMS",
			"AWS KMS returned a public key for %s that is not of its key spec %s", arn, out.KeySpec)
	}
	return &Key{regions: r, arn: arn, public: public, spec: out.KeySpec, algorithms: out.SigningAlgorithms, from: at}, nil
}

// ID returns the key ARN, for a multi-Region key that of the Region that was
// asked for, wherever it signs.
func (k *Key) ID() string { return k.arn }

// Public returns the public key that Open fetched.
func (k *Key) Public() crypto.PublicKey { return k.public }

// RedirectedTo returns the endpoint that the URI, the environment or the
// profile puts in the place of AWS's own, without any user information in it,
// or "".
func (k *Key) RedirectedTo() string { return overriding(k.regions.sites[0].client) }

// Sign makes one attempt to sign message, in each Region that it comes to.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if !k.can(alg) {
		return signer.Signature{}, signer.ErrUnsupported(k.arn, alg, k.public)
	}
	in, err := k.input(k.arn, alg, message)
	if err != nil {
		return signer.Signature{}, err
	}
	var sig signer.Signature
	err = k.regions.do(ctx, func(ctx context.Context, s *site) (err error) {
		sig, err = k.signIn(ctx, s, alg, *in)
		return err
	})
	return sig, err
}

func (k *Key) signIn(ctx context.Context, s *site, alg signer.Algorithm, in kms.SignInput) (signer.Signature, error) {
	if s != k.from {
		if err := k.same(ctx, s); err != nil {
			return signer.Signature{}, err
		}
	}
	arn := inRegion(k.arn, s.region)
	in.KeyId = &arn
	out, err := s.client.Sign(ctx, &in)
	if err != nil {
		return signer.Signature{}, explain(ctx, call{"Sign", arn, s.region}, err)
	}
	request, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	sig := signer.Signature{Bytes: out.Signature, KeyID: clean(aws.ToString(out.KeyId)), Algorithm: algorithmOf(out.SigningAlgorithm, alg), RequestID: request}
	if sig.KeyID == arn && arn != k.arn {
		sig.KeyID, sig.RequestID = k.arn, s.region+"/"+request
	}
	return sig, nil
}
