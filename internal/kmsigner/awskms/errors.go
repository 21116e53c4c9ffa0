package awskms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/signgate/signgate/internal/fault"
)

// call says what was asked of AWS KMS.
type call struct{ operation, key, region string }

// explain turns a failure of the SDK into a fault.
func explain(ctx context.Context, c call, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return cutShort(ctx, c, err)
	}
	if _, ok := errors.AsType[credentialsError](err); ok {
		return explainCredentials(err)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return explainAPI(c, api, err)
	}
	return explainTransport(c, err)
}

// cutShort reports a call that the caller's time was not enough for, or that it
// broke off. The retry around it says how long it waited, and what to do.
func cutShort(ctx context.Context, c call, err error) error {
	who := "AWS KMS in " + c.region
	if _, ok := errors.AsType[credentialsError](err); ok {
		who = "the source of the AWS credentials"
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.Undecidedf("timeout", "", "%s gave no answer for %s: %w", who, c.operation, ctx.Err())
	}
	return fault.Undecidedf("interrupted", "run the command again", "%s of the AWS KMS key %s was cut short: %w", c.operation, c.key, ctx.Err())
}

// explainAPI decides on the error code. The HTTP status counts only when the
// code says nothing: whatever stands before AWS KMS may answer 503.
func explainAPI(c call, api smithy.APIError, err error) error {
	request := fmt.Sprintf(" (%s, request %s)", clean(api.ErrorCode()), requestID(err))
	said := request
	if api.ErrorMessage() != "" {
		said = ": " + clean(api.ErrorMessage()) + request
	}
	switch code := api.ErrorCode(); {
	case code == "NotFoundException":
		return fault.Configf("kms_key_not_found", "check the key, its Region and its account, and give an ARN for a key of another account",
			"AWS KMS has no key %s in %s%s", c.key, c.region, said)
	case code == "InvalidArnException":
		return fault.Configf("kms_uri_invalid", "check the ARN", "AWS KMS does not take the key %s%s", c.key, said)
	case code == "DisabledException", code == "KMSInvalidStateException":
		return explainState(c, api, request, said)
	case code == "AccessDeniedException":
		return fault.Undecidedf("kms_access_denied", "allow kms:GetPublicKey and kms:Sign on the key to the role of this run, in the IAM policy and the key policy",
			"AWS KMS denied %s with the key %s%s", c.operation, c.key, said)
	case slices.Contains([]string{"InvalidKeyUsageException", "UnsupportedOperationException", "ValidationException"}, code):
		return fault.Configf("kms_invalid_usage", "use an asymmetric key with the usage SIGN_VERIFY and the spec ECC_NIST_P256",
			"AWS KMS cannot do %s with the key %s%s", c.operation, c.key, said)
	case slices.Contains(throttles, code):
		return fault.Transientf("kms_throttled", "run the command again, or ask AWS for a higher KMS request quota",
			"AWS KMS throttled %s with the key %s%s", c.operation, c.key, said)
	case slices.Contains(expirations, code):
		return fault.Undecidedf("aws_credentials_expired", "run configure-aws-credentials right before this step, or raise its role-duration-seconds",
			"the AWS credentials have expired%s", request)
	case slices.Contains(rejections, code):
		return explainRejection(api, request)
	case slices.Contains(outages, code), status(err) >= 500:
		return fault.Transientf("kms_unavailable", "run the command again", "AWS KMS in %s did not answer %s with the key %s%s", c.region, c.operation, c.key, said)
	}
	return fault.Undecidedf("kms_unexpected", "look the error code up in the AWS KMS API reference", "AWS KMS refused %s with the key %s%s", c.operation, c.key, said)
}

// The error codes of AWS, by what they mean. The first two groups and the last
// are common to AWS services, without a type in the SDK.
var (
	throttles = []string{"ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
	expirations = []string{"ExpiredTokenException", "ExpiredToken"}
	outages     = []string{"KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException",
		"InternalFailure", "InternalError", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException"}
	rejections = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"NotAuthorized", "RequestExpired", "AuthFailure"}
)

// explainState tells the states of a key apart by the text, as a key that
// waits for its deletion is reported with either code (Key states of AWS KMS
// keys, developer guide).
func explainState(c call, api smithy.APIError, request, said string) error {
	const replace = "set key to its replacement and update expected-key"
	text := strings.ToLower(api.ErrorMessage())
	switch {
	case strings.Contains(text, "pending deletion"):
		return fault.Refusedf("kms_key_disabled", "cancel the deletion and enable it, or "+replace, "the AWS KMS key %s is pending deletion%s", c.key, request)
	case strings.Contains(text, "creating"):
		f := fault.Transientf("kms_unavailable", "run the command again in a minute", "the AWS KMS key %s is still being created%s", c.key, request)
		f.Err = errStays
		return f
	case api.ErrorCode() == "DisabledException":
		return fault.Refusedf("kms_key_disabled", "enable it, or "+replace, "the AWS KMS key %s is disabled%s", c.key, request)
	}
	return fault.Refusedf("kms_key_disabled", "bring it into the state Enabled, or "+replace, "the AWS KMS key %s cannot be used in its state%s", c.key, said)
}

// explainRejection does not repeat what AWS says, because that may be the whole
// signed request with the session token.
func explainRejection(api smithy.APIError, request string) error {
	what, next := "AWS does not accept the credentials", "run configure-aws-credentials right before this step; check the access key, its secret and its session token"
	switch text := api.ErrorMessage(); {
	case strings.HasPrefix(text, "Signature expired"), strings.HasPrefix(text, "Signature not yet current"):
		what, next = "AWS does not accept the time of the request", "set the clock of this machine"
	case strings.HasPrefix(text, "Credential should be scoped to"):
		what, next = "the endpoint belongs to another AWS Region or service", "check the Region of the key and the endpoint override"
	}
	return fault.Undecidedf("aws_credentials_rejected", next, "%s%s", what, request)
}
