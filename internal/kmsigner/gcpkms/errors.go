package gcpkms

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
)

// apiError is the cause of a fault that the service answered.
type apiError struct {
	Status  string `json:"status"` // google.rpc.Code, "NOT_FOUND" for example
	Message string `json:"message"`
	Details []struct {
		Type       string `json:"@type"`
		Reason     string `json:"reason"`     // of google.rpc.ErrorInfo
		RetryDelay string `json:"retryDelay"` // of google.rpc.RetryInfo, "1.5s"
		Violations []struct {
			Type string `json:"type"` // of google.rpc.PreconditionFailure
		} `json:"violations"`
	} `json:"details"`
	http int
}

func (e *apiError) Error() string { return e.Status }

func statusOf(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.Status
	}
	return ""
}

// explainAnswer turns an answer that is no success into a fault. The status of
// the body decides (https://docs.cloud.google.com/apis/design/errors), and
// the HTTP status only when there is no such body: what stands before the
// service may answer 503.
func (c *client) explainAnswer(what call, resp *http.Response, text []byte) error {
	var body struct {
		Error apiError `json:"error"`
	}
	if json.Unmarshal(text, &body) != nil || body.Error.Status == "" {
		body.Error = apiError{Status: byHTTP(resp.StatusCode)}
	}
	e := &body.Error
	e.http = resp.StatusCode
	e.Message = clean(e.Message)
	e.Status = clean(e.Status)
	f := c.explainAPI(what, e)
	f.Err = e
	if f.Transient {
		f.After = e.after(resp.Header.Get("Retry-After"))
	}
	return f
}

// byHTTP names the statuses of answers that name none.
func byHTTP(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case status == http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case status >= 500:
		return "UNAVAILABLE"
	}
	return fmt.Sprintf("HTTP status %d", status)
}

func (c *client) explainAPI(what call, e *apiError) *fault.Error {
	said := fmt.Sprintf(" (%s, request %s)", e.Status, what.id)
	if e.Message != "" {
		said = ": " + e.Message + said
	}
	switch e.Status {
	case "NOT_FOUND":
		return fault.Configf("kms_key_not_found", "check the project, location, key ring, key and version", "Cloud KMS has no %s%s", what.resource, said)
	case "UNAUTHENTICATED":
		return fault.Undecidedf("google_credentials_rejected", "run google-github-actions/auth right before this step",
			"Google Cloud does not accept the token of %s (%s, request %s)", c.creds, e.Status, what.id)
	case "PERMISSION_DENIED":
		return fault.Undecidedf("kms_access_denied", c.allow(what, e), "Cloud KMS denied %s of %s to %s%s", what.operation, what.resource, c.creds, said)
	case "FAILED_PRECONDITION", "INVALID_ARGUMENT":
		return explainState(what, e, said)
	case "RESOURCE_EXHAUSTED":
		return fault.Transientf("kms_throttled", "run the command again, or ask Google for a higher Cloud KMS quota", "Cloud KMS throttled %s of %s%s", what.operation, what.resource, said)
	case "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN":
		return unavailable(what, said)
	}
	if e.http >= 500 && e.Status != "UNIMPLEMENTED" {
		return unavailable(what, said)
	}
	return fault.Undecidedf("kms_unexpected", "look the status up in the Cloud KMS documentation", "Cloud KMS refused %s of %s%s", what.operation, what.resource, said)
}

// allow says which permission is missing. The service denies keys that do not
// exist, too.
func (c *client) allow(what call, e *apiError) string {
	for _, d := range e.Details {
		if d.Reason == "SERVICE_DISABLED" {
			return "run gcloud services enable cloudkms.googleapis.com in the project that the message names"
		}
	}
	switch what.operation {
	case "asymmetricSign":
		return "grant roles/cloudkms.signer (cloudkms.cryptoKeyVersions.useToSign) on the key, and check that the key exists"
	case "getPublicKey":
		return "grant roles/cloudkms.publicKeyViewer (cloudkms.cryptoKeyVersions.viewPublicKey) on the key, and check that the key exists"
	}
	return "add /cryptoKeyVersions/1 to the key, or grant cloudkms.cryptoKeyVersions.list (roles/cloudkms.viewer) on it"
}

// explainState tells the states of a version apart by the text, "… is not
// enabled, current state is: DISABLED.", as no member of the answer has them.
func explainState(what call, e *apiError, said string) *fault.Error {
	const replace = "set key to its replacement and update expected-key"
	_, state, _ := strings.Cut(e.Message, "current state is: ")
	switch state = strings.Trim(state, ". "); {
	case state == "DISABLED":
		return fault.Refusedf("kms_key_disabled", "enable it, or "+replace, "the Cloud KMS key %s is disabled (%s, request %s)", what.resource, e.Status, what.id)
	case state == "DESTROY_SCHEDULED":
		return fault.Refusedf("kms_key_disabled", "restore and enable it, or "+replace, "the Cloud KMS key %s is scheduled for destruction (%s, request %s)", what.resource, e.Status, what.id)
	case strings.HasPrefix(state, "PENDING_"):
		return fault.Undecidedf("kms_unavailable", "run the command again when its state is ENABLED", "the Cloud KMS key %s is not ready yet%s", what.resource, said)
	case state != "" || e.violates("KEY_"):
		return fault.Refusedf("kms_key_disabled", replace, "the Cloud KMS key %s cannot be used in its state%s", what.resource, said)
	case strings.Contains(strings.ToLower(e.Message), "purpose"):
		return fault.Configf("key_type_unsupported", "use a key with the purpose ASYMMETRIC_SIGN; the purpose of a key cannot be changed",
			"the Cloud KMS key %s is not one that signs%s", what.resource, said)
	}
	return fault.Configf("kms_invalid_usage", "use a key with the purpose ASYMMETRIC_SIGN and the algorithm EC_SIGN_P256_SHA256",
		"Cloud KMS cannot do %s of %s%s", what.operation, what.resource, said)
}

// violates reports whether a precondition with a type of the prefix fails, like
// KEY_DISABLED.
func (e *apiError) violates(prefix string) bool {
	for _, d := range e.Details {
		for _, v := range d.Violations {
			if strings.HasPrefix(v.Type, prefix) {
				return true
			}
		}
	}
	return false
}

// after returns how long the service asks to be left alone.
func (e *apiError) after(header string) time.Duration {
	var longest time.Duration
	if s, err := strconv.ParseUint(header, 10, 16); err == nil {
		longest = time.Duration(s) * time.Second
	}
	for _, d := range e.Details {
		if delay, err := time.ParseDuration(cmp.Or(d.RetryDelay, "0s")); err == nil {
			longest = max(longest, delay)
		}
	}
	return longest
}
