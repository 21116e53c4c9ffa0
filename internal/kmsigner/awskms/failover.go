package awskms

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

const useMulti = "create a multi-Region key and its replicas (a key cannot become one later), or remove failover="

// checkFailover refuses a failover list on what is no multi-Region key by its
// name. An alias shows only at open what it points to.
func (ref *reference) checkFailover() error {
	switch {
	case len(ref.failover) == 0:
		return nil
	case !strings.Contains(ref.key, "alias/") && !multiName.MatchString(ref.key):
		return notMulti(ref.key)
	}
	return nil
}

func notMulti(key string) error {
	return fault.Configf("kms_failover_invalid", useMulti, "the AWS KMS key %s is not a multi-Region key, so it is in no other Region", key)
}

// checkRegions refuses a list that cannot lead anywhere: with an endpoint that
// takes the place of all Regions, a Region that stands twice, or one of another
// partition, where no replica can be.
func (ref *reference) checkRegions(first, override string) error {
	const next = "give each other Region with a replica of the key once"
	if override != "" && len(ref.failover) > 0 {
		return fault.Configf("kms_failover_invalid", "remove the endpoint override or failover=",
			"the key %s has a failover list, but its calls go to the one endpoint %s", ref.key, override)
	}
	seen := []string{first}
	for _, name := range ref.failover {
		if slices.Contains(seen, name) {
			return fault.Configf("kms_failover_invalid", next, "the Region %s stands twice among the Regions of the key %s", name, ref.key)
		}
		if partition(name) != partition(first) {
			return fault.Configf("kms_failover_invalid", next, "the Regions %s and %s of the key %s are in different partitions of AWS", first, name, ref.key)
		}
		seen = append(seen, name)
	}
	return nil
}

// partition returns what sets the Regions of a partition apart: a prefix that
// the Regions of the partition aws do not have.
func partition(region string) string {
	for _, prefix := range []string{"cn-", "us-gov-", "us-iso-", "us-isob-", "eu-isoe-", "us-isof-", "eusc-"} {
		if strings.HasPrefix(region, prefix) {
			return prefix
		}
	}
	return "aws"
}

// in returns the reference to the same multi-Region key in another Region.
func (ref reference) in(region string) reference {
	if ref.inARN {
		ref.key, ref.region = inRegion(ref.key, region), region
	}
	return ref
}

// inRegion returns an ARN with another Region in its place.
func inRegion(arn, region string) string {
	parts := strings.SplitN(arn, ":", 5)
	if len(parts) < 5 {
		return arn
	}
	parts[3] = region
	return strings.Join(parts, ":")
}

// fetch reads the public key in the first Region that answers. An alias is a
// thing of its Region and may point to another key elsewhere, so it is resolved
// in the Region that was asked for, or not at all.
func (r *regions) fetch(ctx context.Context, ref reference) (out *kms.GetPublicKeyOutput, at *site, err error) {
	read := func(ctx context.Context, s *site) (err error) {
		at = s
		out, err = s.publicKey(ctx, ref.in(s.region).key)
		return err
	}
	if strings.Contains(ref.key, "alias/") {
		err = read(ctx, r.sites[0])
	} else {
		err = r.do(ctx, read)
	}
	return out, at, err
}

func (s *site) publicKey(ctx context.Context, key string) (*kms.GetPublicKeyOutput, error) {
	out, err := s.client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key})
	return out, explain(ctx, call{"GetPublicKey", key, s.region}, err)
}

// same checks, once, that a replica has the public key that Open read.
func (k *Key) same(ctx context.Context, s *site) error {
	arn := inRegion(k.arn, s.region)
	_, err := k.replicas.Do(ctx, s.region, func(ctx context.Context) (struct{}, error) {
		out, err := s.publicKey(ctx, arn)
		if err != nil {
			return struct{}{}, err
		}
		public, err := signer.ParsePublicKey(out.PublicKey)
		mine, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
		if err != nil || !ok || !mine.Equal(public) || aws.ToString(out.KeyId) != arn {
			return struct{}{}, fault.Refusedf("key_mismatch", "nothing was signed there; find out who made the key in that Region",
				"the AWS KMS key %s has another public key than %s", arn, k.arn)
		}
		return struct{}{}, nil
	})
	if _, ok := errors.AsType[*fault.Error](err); err != nil && !ok {
		return explain(ctx, call{"GetPublicKey", arn, s.region}, err) // this caller's time was over
	}
	return err
}
