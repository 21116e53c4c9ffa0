package awskms

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/signgate/signgate/internal/fault"
)

// describe reports what AWS KMS says about the key, which it does in every state
// (key states, AWS KMS developer guide). It returns nil when the caller may not
// ask, and an error when there is nothing more to ask.
func (e *examination) describe(ctx context.Context, ref reference, s *site) (*types.KeyMetadata, error) {
	var out *kms.DescribeKeyOutput
	err := e.opts.Retry.Do(ctx, "describing "+ref.key, func(ctx context.Context) (err error) {
		out, err = s.client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &ref.key})
		return explain(ctx, call{"DescribeKey", ref.key, s.region}, err)
	})
	if fault.CodeOf(err) == "kms_access_denied" {
		e.warn("state", "allow kms:DescribeKey to this role if doctor is to show them; signing does not need it",
			"the role may not describe the key, so its state and its replicas are not known")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := out.KeyMetadata
	if m == nil || !ref.mayBe(aws.ToString(m.Arn), s.region) {
		return nil, fault.Refusedf("key_mismatch", "check that no proxy or endpoint override sits between signgate and AWS KMS",
			"asked AWS KMS about %s, but it answered with another key", ref.key)
	}
	e.metadata(ref, m)
	return m, nil
}

func (e *examination) metadata(ref reference, m *types.KeyMetadata) {
	arn := aws.ToString(m.Arn)
	if strings.Contains(ref.key, "alias/") {
		e.ok("key", "%s, which %s points to now", arn, ref.key)
	} else {
		e.ok("key", "%s", arn)
	}
	if err := checkSpec(arn, m.KeyUsage, m.KeySpec); err != nil {
		e.fail("key spec", err)
	} else {
		e.ok("key spec", "%s, for %s", m.KeySpec, m.KeyUsage)
	}
	e.state(m)
	var algorithms []string
	for _, a := range m.SigningAlgorithms {
		algorithms = append(algorithms, clean(string(a)))
	}
	if len(algorithms) > 0 {
		e.ok("algorithms", "%s; signgate uses %s", strings.Join(algorithms, ", "), awsAlgorithms[specs[m.KeySpec].alg])
	}
	e.multiRegion(ref, m)
}

func (e *examination) state(m *types.KeyMetadata) {
	const replace = "set key to its replacement and update expected-key"
	next := "bring it into the state Enabled, or " + replace
	said := clean(string(m.KeyState))
	switch m.KeyState {
	case types.KeyStateEnabled:
		e.ok("state", "%s", said)
		return
	case types.KeyStateDisabled:
		next = "enable it (aws kms enable-key), or " + replace
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		next = "cancel the deletion (aws kms cancel-key-deletion) and enable it, or " + replace
		if m.DeletionDate != nil {
			said += ", to be deleted on " + m.DeletionDate.UTC().Format("2006-01-02")
		}
	case types.KeyStateCreating:
		next = "wait some minutes"
	}
	e.fail("state", fault.Refusedf("kms_key_disabled", next, "%s", said))
}

// multiRegion reports the Regions of the key, and those of the failover list
// where it is not. DescribeKey is the one call that lists them.
func (e *examination) multiRegion(ref reference, m *types.KeyMetadata) {
	c := m.MultiRegionConfiguration
	if c == nil || c.PrimaryKey == nil {
		if len(ref.failover) > 0 {
			e.fail("multi-Region", notMulti(aws.ToString(m.Arn)))
			return
		}
		e.ok("multi-Region", "no")
		return
	}
	said, at := "primary in "+clean(aws.ToString(c.PrimaryKey.Region)), []string{aws.ToString(c.PrimaryKey.Region)}
	for _, replica := range c.ReplicaKeys {
		said += ", replica in " + clean(aws.ToString(replica.Region))
		at = append(at, aws.ToString(replica.Region))
	}
	for _, name := range ref.failover {
		if !slices.Contains(at, name) {
			e.fail("multi-Region", fault.Configf("kms_key_not_found", "create a replica there (aws kms replicate-key), or take the Region out of failover=",
				"%s, but none in %s", said, name))
			return
		}
	}
	e.ok("multi-Region", "%s", said)
}
