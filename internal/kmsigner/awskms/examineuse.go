package awskms

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/signgate/signgate/internal/signer"
)

// use reports whether the key can be used: its public key, and a signature that
// is not made. m is nil when the key may not be described.
func (e *examination) use(ctx context.Context, ref reference, r *regions, m *types.KeyMetadata) {
	one := &regions{sites: r.sites[:1]}
	arn, keySpec := ref.key, types.KeySpec("")
	if m != nil { // the alias may have moved since, so from here on it is the key
		arn, keySpec = aws.ToString(m.Arn), m.KeySpec
	}
	k, err := open(ctx, ref, one, e.opts.Retry)
	if err != nil {
		e.fail("public key", err)
	} else {
		arn, keySpec = k.arn, k.spec
		fingerprint, _ := signer.Fingerprint(k.public) // Open took the key, so it has one
		e.ok("public key", "%s, %s", signer.KeyType(k.public), fingerprint)
	}
	e.permission(ctx, "permission to sign", r.sites[0], arn, keySpec)
	for _, s := range r.sites[1:] {
		e.replica(ctx, k, s, keySpec)
	}
}

// replica examines a Region of the failover list. Without k there is nothing to
// compare its public key with.
func (e *examination) replica(ctx context.Context, k *Key, s *site, keySpec types.KeySpec) {
	name := "failover to " + s.region
	if k == nil || !multiName.MatchString(k.arn) {
		e.warn(name, "repair the key in its first Region, then run this again", "not examined, because there is nothing to compare the public key with")
		return
	}
	err := e.opts.Retry.Do(ctx, "reading the public key in "+s.region, func(ctx context.Context) error { return k.same(ctx, s) })
	if err != nil {
		e.fail(name, err)
		return
	}
	e.permission(ctx, name, s, inRegion(k.arn, s.region), keySpec)
}

// permission asks for a dry run with the parameters of a real signature, so that
// conditions on the algorithm and the message type count.
func (e *examination) permission(ctx context.Context, name string, s *site, arn string, keySpec types.KeySpec) {
	in := dryRun(arn, keySpec)
	if in == nil {
		e.warn(name, "repair what fails above, then run this again", "not tried, because the key spec is not known or not one to sign with")
		return
	}
	err := e.opts.Retry.Do(ctx, "a dry run with "+arn, func(ctx context.Context) error {
		_, err := s.client.Sign(ctx, in)
		if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "DryRunOperationException" {
			return errWouldSign
		}
		return explain(ctx, call{"Sign", arn, s.region}, err)
	})
	switch {
	case errors.Is(err, errWouldSign):
		e.ok(name, "a dry run of Sign with %s (%s) would have succeeded", in.SigningAlgorithm, in.MessageType)
	case err == nil:
		e.warn(name, "check what answers in the place of AWS KMS", "the endpoint does not know dry runs: it signed")
	default:
		e.fail(name, err)
	}
}

var errWouldSign = errors.New("the dry run would have succeeded")

// dryRun returns nil for keys that signgate does not sign with.
func dryRun(arn string, keySpec types.KeySpec) *kms.SignInput {
	alg := specs[keySpec].alg
	in := &kms.SignInput{KeyId: &arn, DryRun: aws.Bool(true), SigningAlgorithm: awsAlgorithms[alg]}
	switch {
	case alg == "":
		return nil
	case alg.Hash() != 0:
		in.MessageType, in.Message = types.MessageTypeDigest, make([]byte, alg.Hash().Size())
	case alg == signer.Ed25519:
		in.MessageType, in.Message = types.MessageTypeRaw, []byte("signgate doctor")
	default:
		in.MessageType, in.Message = types.MessageTypeExternalMu, make([]byte, 64)
	}
	return in
}
