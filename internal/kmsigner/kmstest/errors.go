package kmstest

import (
	"fmt"
	"net/http"
)

// apiError is an answer of the service that is no success.
type apiError struct {
	status  int
	code    string
	message string
}

// refuse returns an error of the caller's making. The service answers these
// with HTTP 400, although its model says 404, 409 or 412 for some.
func refuse(code, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func (e *apiError) answer() answer {
	a := answer{"__type": e.code}
	if e.message != "" {
		a["message"] = e.message
	}
	return a
}

// The texts of the service, each with where it was seen:
//
//	LocalStack  recorded from AWS, tests/aws/services/kms/test_kms.snapshot.json in localstack/localstack
//	guide       AWS KMS developer guide, IAM user guide
//	reference   AWS KMS API reference, common errors included
//	model       the Smithy model, which has the code; the text is ours
//
// Clients may match codes; texts of AWS change without notice.

// LocalStack: 1 validation error detected: Value 'INVALID' at 'macAlgorithm' …
func invalid(value, member, constraint string) *apiError {
	if value != "null" {
		value = "'" + value + "'"
	}
	return refuse("ValidationException", "1 validation error detected: Value %s at '%s' failed to satisfy constraint: Member must %s",
		value, member, constraint)
}

// LocalStack: Invalid keyId 'key_id'
func noKeyID(name string) *apiError { return refuse("NotFoundException", "Invalid keyId '%s'", name) }

// LocalStack: Key '<key-arn>' does not exist
func noKey(arn string) *apiError { return refuse("NotFoundException", "Key '%s' does not exist", arn) }

// LocalStack: Alias arn:aws:kms:<region>:111111111111:alias/… is not found.
func noAlias(arn string) *apiError { return refuse("NotFoundException", "Alias %s is not found.", arn) }

// Seen in bug reports about keys of another Region: Invalid arn us-east-1
func otherRegion(region string) *apiError {
	return refuse("NotFoundException", "Invalid arn %s", region)
}

// unusable has the answers for keys that are not enabled.
func unusable(state State, arn string) *apiError {
	switch state {
	case Disabled: // LocalStack: <key-arn> is disabled.
		return refuse("DisabledException", "%s is disabled.", arn)
	case PendingDeletion, PendingReplicaDeletion: // guide, key states; PendingDeletionDisabled has the other form
		return refuse("KMSInvalidStateException", "%s is pending deletion (or pending replica deletion).", arn)
	case PendingImport: // LocalStack: <key-arn> is pending import.
		return refuse("KMSInvalidStateException", "%s is pending import.", arn)
	case Creating: // guide, key states
		return refuse("KMSInvalidStateException", "%s is creating.", arn)
	}
	return refuse("KMSInvalidStateException", "%s is unavailable.", arn) // guide, key states
}

// LocalStack: <key-arn> key usage is GENERATE_VERIFY_MAC which is not valid for Sign.
func wrongUsage(k key, operation string) *apiError {
	return refuse("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.arn, k.usage, operation)
}

// LocalStack: Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.
func wrongAlgorithm(k key, algorithm string) *apiError {
	return refuse("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", algorithm, k.spec)
}

// Observed in us-east-1 (floci-io/floci#3025): Message type DIGEST is incompatible with key spec ML_DSA_44.
func wrongType(k key, messageType string) *apiError {
	return refuse("ValidationException", "Message type %s is incompatible with key spec %s.", messageType, k.spec)
}

// LocalStack: Digest is invalid length for algorithm ECDSA_SHA_256. For a μ that
// is not 64 bytes the reference has the rule and no text; this one is assumed.
func wrongLength(algorithm string) *apiError {
	return refuse("ValidationException", "Digest is invalid length for algorithm %s.", algorithm)
}

// CloudTrail examples of the guide.
func dryRun() *apiError {
	return refuse("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
}

// Model: GetPublicKey of a symmetric key.
func notAsymmetric(k key) *apiError {
	return refuse("UnsupportedOperationException", "%s key spec is %s which is not valid for GetPublicKey.", k.arn, k.spec)
}

// Guide (IAM), access denied error messages.
func denied(operation, resource string) *apiError {
	return refuse("AccessDeniedException", "User: arn:aws:sts::111122223333:assumed-role/ci/run is not authorized to perform: kms:%s on resource: %s "+
		"because no identity-based policy allows the kms:%s action", operation, resource, operation)
}

// Guide, throttling.
func throttled() *apiError {
	return refuse("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
}

// Reference, common errors.
func expired() *apiError {
	return refuse("ExpiredTokenException", "The security token included in the request is expired")
}

// Model; a fault of the service has HTTP 500.
func internal() *apiError {
	return &apiError{http.StatusInternalServerError, "KMSInternalException", "An internal error occurred."}
}
