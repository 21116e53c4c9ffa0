package gcpkms

import (
	"context"
	"fmt"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// trial is what Examine signs. It is no payload of any format, so a signature
// over it is good for nothing.
const trial = "signgate doctor: a trial signature that stands for no image\n"

// Examine looks at everything that signing with uri needs, in the order in
// which it is needed, and stops at the first thing that keeps the rest from
// being looked at. It signs once, a fixed text, because Cloud KMS has no dry
// run.
func Examine(ctx context.Context, uri string, o Options) []signer.Check {
	o = o.withDefaults()
	o.Notice = func(string) {} // the line "key version" says it
	ref, err := parse(uri)
	if err != nil {
		return []signer.Check{signer.Failed("key", err)}
	}
	c, err := newClient(ref, o)
	if err != nil {
		return []signer.Check{signer.Failed(about(err, "credentials"), err)}
	}
	checks := append(c.examineEndpoint(), c.examineCredentials(ctx, o))
	if checks[len(checks)-1].Status == signer.Fail {
		return checks
	}
	return append(checks, c.examineKey(ctx, ref, o)...)
}

func (c *client) examineEndpoint() []signer.Check {
	if c.redirected == "" {
		return []signer.Check{{Name: "endpoint", Status: signer.OK, Fact: c.endpoint}}
	}
	return []signer.Check{{Name: "endpoint", Status: signer.Warn, Fact: override + " leads to " + c.redirected,
		Next: "set expected-key or trusted-keys, so that this endpoint cannot choose the key"}}
}

func (c *client) examineCredentials(ctx context.Context, o Options) signer.Check {
	err := o.Retry.Do(ctx, "getting a Google Cloud access token", func(ctx context.Context) error {
		_, err := c.creds.token(ctx)
		return err
	})
	if err != nil {
		return signer.Failed("credentials", err)
	}
	check := signer.Check{Name: "credentials", Status: signer.OK, Fact: fmt.Sprintf("%s, of the type %s", c.creds, c.creds.kind)}
	if c.creds.kind == "service_account" {
		check.Status, check.Next = signer.Warn, "use workload identity federation in place of a key file that does not expire"
	}
	return check
}

func (c *client) examineKey(ctx context.Context, ref reference, o Options) []signer.Check {
	v, err := c.resolve(ctx, ref, o)
	if err != nil {
		return []signer.Check{signer.Failed(about(err, "key version"), err)}
	}
	named := signer.Check{Name: "key version", Status: signer.OK, Fact: v.name}
	if ref.version == "" {
		named.Status, named.Fact, named.Next = signer.Warn, v.name+", the newest enabled one, as key names none", "write "+schemeURI+v.name
	}
	k, err := c.open(ctx, v, o.Retry)
	if err != nil {
		return []signer.Check{named, signer.Failed(about(err, "public key"), err)}
	}
	return []signer.Check{
		named,
		{Name: "state", Status: signer.OK, Fact: "enabled: its public key was given out"},
		{Name: "algorithm", Status: signer.OK, Fact: fmt.Sprintf("%s, signs with %s", k.spec.keyType, k.spec.algorithm)},
		k.examineProtection(),
		k.examineSigning(ctx, o),
	}
}

func (k *Key) examineProtection() signer.Check {
	check := signer.Check{Name: "protection level", Status: signer.OK, Fact: k.protection}
	if k.protection == "" {
		check.Fact = "not reported"
	}
	if strings.HasPrefix(k.protection, "EXTERNAL") {
		check.Status, check.Fact, check.Next = signer.Warn, k.protection+": the key is outside of Google Cloud", "expect outages of the external key manager to stop signing"
	}
	return check
}

// examineSigning signs as a run would, behind the guard, which verifies.
func (k *Key) examineSigning(ctx context.Context, o Options) signer.Check {
	guarded, err := signer.Guard(k, o.Retry)
	if err != nil {
		return signer.Failed("algorithm", err)
	}
	sig, err := guarded.Sign(ctx, k.spec.algorithm, []byte(trial))
	if err != nil {
		return signer.Failed(about(err, "permission to sign"), err)
	}
	return signer.Check{Name: "permission to sign", Status: signer.OK, Fact: "a trial signature verifies (request " + sig.RequestID + ")"}
}

// about returns the name of the check that a fault belongs to.
func about(err error, otherwise string) string {
	switch code := fault.CodeOf(err); {
	case code == "kms_key_disabled":
		return "state"
	case code == "key_type_unsupported":
		return "algorithm"
	case code == "google_endpoint_invalid", code == "kms_tls":
		return "endpoint"
	case strings.HasPrefix(code, "google_credentials"):
		return "credentials"
	}
	return otherwise
}
