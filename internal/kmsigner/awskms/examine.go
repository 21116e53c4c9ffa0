package awskms

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// Examine looks at everything that a signature with the key needs, one line
// each, and signs nothing: whether the key may be used is asked with a dry run
// (DryRun of Sign, AWS KMS API reference), which CloudTrail logs like any other
// call. A key that is disabled, or that may not be described, is examined as far
// as AWS answers. It stops early only when no question can be asked, and then the
// last line is the failure.
func Examine(ctx context.Context, uri string, opts Options) []signer.Check {
	e := &examination{opts: opts.withDefaults()}
	ref, err := parse(uri)
	if err != nil {
		return e.fail(nameOf(err), err)
	}
	r, err := newRegions(ctx, ref, e.opts)
	if err != nil {
		return e.fail(nameOf(err), err)
	}
	if !e.credentials(ctx, r.sites[0]) || !e.region(ctx, ref, r.sites[0]) {
		return e.checks
	}
	metadata, err := e.describe(ctx, ref, r.sites[0])
	if err != nil {
		return e.fail(nameOf(err), err)
	}
	e.use(ctx, ref, r, metadata)
	return e.checks
}

// examination collects the lines.
type examination struct {
	opts   Options
	checks []signer.Check
}

func (e *examination) ok(name, format string, args ...any) {
	e.checks = append(e.checks, signer.Good(name, format, args...))
}

func (e *examination) warn(name, next, format string, args ...any) {
	e.checks = append(e.checks, signer.Doubtful(name, next, format, args...))
}

func (e *examination) fail(name string, err error) []signer.Check {
	e.checks = append(e.checks, signer.Failed(name, err))
	return e.checks
}

// nameOf returns the line that a failure belongs to.
func nameOf(err error) string {
	switch code := fault.CodeOf(err); {
	case code == "aws_credentials_rejected", code == "aws_credentials_expired":
		return "login" // AWS KMS did not take what the line credentials is about
	case strings.HasPrefix(code, "aws_credentials_"):
		return "credentials"
	case code == "aws_region_missing":
		return "region"
	case code == "aws_config_invalid":
		return "configuration"
	case code == "kms_tls", code == "kms_unavailable", code == "kms_throttled", code == "timeout", code == "interrupted":
		return "connection"
	case code == "kms_failover_invalid":
		return "failover"
	}
	return "key"
}

// credentials names the source, and of the access key the last four characters:
// AWS treats its id as no secret, and shows these in CloudTrail.
func (e *examination) credentials(ctx context.Context, s *site) bool {
	var creds aws.Credentials
	err := e.opts.Retry.Do(ctx, "getting AWS credentials", func(ctx context.Context) (err error) {
		creds, err = s.client.Options().Credentials.Retrieve(ctx)
		return explain(ctx, call{"GetCredentials", "", s.region}, err)
	})
	if err != nil {
		e.fail("credentials", err)
		return false
	}
	kind := "without an end"
	if creds.SessionToken != "" {
		kind = "temporary"
	}
	said := fmt.Sprintf("from %s, access key …%s, %s", source(creds.Source), creds.AccessKeyID[max(0, len(creds.AccessKeyID)-4):], kind)
	if role, _ := e.opts.LookupEnv("AWS_ROLE_ARN"); role != "" && strings.HasPrefix(creds.Source, "WebIdentity") {
		said += ", role " + clean(role)
	}
	if creds.SessionToken == "" && strings.HasPrefix(creds.Source, "EnvConfig") {
		e.warn("credentials", "let the job take a role with configure-aws-credentials and OIDC; such keys are stolen with the secret that holds them", "%s", said)
		return true
	}
	e.ok("credentials", "%s", said)
	return true
}

// source returns what the SDK's name of a provider means to a person.
func source(name string) string {
	for prefix, text := range map[string]string{
		"EnvConfigCredentials":        "the environment",
		"WebIdentityCredentials":      "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
		"SharedConfigCredentials":     "the profile",
		"AssumeRoleProvider":          "a role of the profile",
		"ProcessProvider":             "a credential process of the profile",
		"SSOProvider":                 "IAM Identity Center",
		"LoginProvider":               "aws login",
		"CredentialsEndpointProvider": "the credentials endpoint of the container",
		"EC2RoleProvider":             "the metadata service of EC2",
	} {
		if strings.HasPrefix(name, prefix) {
			return text
		}
	}
	return clean(name)
}

// region says where the calls go, and why there.
func (e *examination) region(ctx context.Context, ref reference, s *site) bool {
	why := "the profile"
	switch from, value := ambient(e.opts); {
	case ref.inARN:
		why = "the key's ARN"
	case ref.region != "":
		why = "?region="
	case value != "":
		why = from
	}
	e.ok("region", "%s, from %s", s.region, why)
	at, err := endpoint(ctx, s)
	other := overriding(s.client)
	switch {
	case err != nil:
		e.fail("endpoint", err)
	case other != "":
		e.warn("endpoint", "set expected-key, or remove the override if it is not meant", "%s, in the place of AWS's own", other)
	default:
		e.ok("endpoint", "%s", at)
	}
	return err == nil
}

// endpoint returns where the SDK sends the calls, by the same rules.
func endpoint(ctx context.Context, s *site) (string, error) {
	o := s.client.Options()
	at, err := o.EndpointResolverV2.ResolveEndpoint(ctx, kms.EndpointParameters{
		Region:       &s.region,
		Endpoint:     o.BaseEndpoint,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return "", explainEndpoint(err)
	}
	return at.URI.String(), nil
}
