package awskms

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/signgate/signgate/internal/fault"
)

func noCredentials() error {
	return fault.Configf("aws_credentials_missing", "add both, or set ?imds=true on the key to use the role of the EC2 instance",
		"no AWS credentials: `permissions: id-token: write` missing, or the configure-aws-credentials step did not run")
}

// harmless are the errors of AWS STS whose message is repeated. Others may
// quote the whole signed request, with the session token.
var harmless = []string{"AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "ExpiredToken", "ExpiredTokenException", "IDPCommunicationError", "IDPRejectedClaim", "ValidationError", "RegionDisabledException", "PackedPolicyTooLarge", "ThrottlingException"}

// explainCredentials reports a source of credentials that gave none. Of the
// cause it repeats only what AWS STS or the network said: other sources run
// programs that may say anything.
func explainCredentials(err error) error {
	what, said, transient := "the source of the AWS credentials gave none", "", false
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		said = fmt.Sprintf(": %s, request %s", clean(api.ErrorCode()), requestID(err))
		if slices.Contains(harmless, api.ErrorCode()) {
			said = fmt.Sprintf(": %s (%s, request %s)", clean(api.ErrorMessage()), clean(api.ErrorCode()), requestID(err))
		}
		transient = slices.Contains(throttles, api.ErrorCode()) || slices.Contains(outages, api.ErrorCode()) || status(err) >= 500
	} else if strings.Contains(err.Error(), "failed to retrieve jwt") {
		said = ": AWS_WEB_IDENTITY_TOKEN_FILE cannot be read"
	} else if sent, ok := errors.AsType[*url.Error](err); ok {
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
		said, transient = ": "+network(sent), !untrusted
	} else if strings.Contains(err.Error(), "EC2 IMDS") {
		return noCredentials()
	}
	f := fault.Undecidedf("aws_credentials_failed", "check the role, its trust policy and the token file; aws sts get-caller-identity should work in this step", "%s%s", what, said)
	f.Transient = transient
	return f
}

// explainTransport reports that no answer came, or half of one, or none that
// AWS KMS would give.
func explainTransport(c call, err error) error {
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Undecidedf("kms_tls", "check the endpoint, the proxy and AWS_CA_BUNDLE", "the certificate of the AWS KMS endpoint is not trusted: %s", clean(cert.Err.Error()))
	}
	if strings.Contains(err.Error(), "failed to resolve service endpoint") {
		return explainEndpoint(err)
	}
	why := "the answer could not be read"
	if sent, ok := errors.AsType[*url.Error](err); ok {
		why = network(sent)
	} else if s := status(err); s >= 300 {
		why = fmt.Sprintf("HTTP status %d", s)
	}
	f := fault.Transientf("kms_unavailable", "check the network, the Region and any endpoint override, and run the command again",
		"AWS KMS in %s did not answer %s with the key %s: %s (request %s)", c.region, c.operation, c.key, why, requestID(err))
	f.Transient = status(err) < 300 || status(err) >= 500
	return f
}

// network says what went wrong on the way, without the URL.
func network(sent *url.Error) string {
	text := clean(sent.Err.Error())
	if strings.Contains(text, "invalid proxy") {
		return "the proxy variable is not a URL" // net/http repeats it, with its password
	}
	return text
}

// explainEndpoint repeats only the rule that was broken: the endpoint itself may
// hold a password.
func explainEndpoint(err error) error {
	why := "the endpoint is not a URL"
	if _, rule, ok := strings.Cut(err.Error(), "Invalid Configuration: "); ok {
		why = clean(rule)
	}
	return fault.Configf("aws_config_invalid", "check the endpoint override, AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT",
		"the AWS SDK has no endpoint for AWS KMS: %s", why)
}

func requestID(err error) string {
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok && resp.ServiceRequestID() != "" {
		return clean(resp.ServiceRequestID())
	}
	return "unknown"
}

func status(err error) int {
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return resp.HTTPStatusCode()
	}
	return 0
}

// clean makes a text of the other side fit for one line of a message.
func clean(text string) string {
	const most = 400
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
