package azurekms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/signgate/signgate/internal/fault"
)

// problem is an error answer of a vault (Azure Key Vault REST API error codes)
// and what was asked. It holds no secret.
type problem struct {
	operation, key, service string
	code, inner             string // "Forbidden", "KeyDisabled"
	text                    string // of the vault
	resp                    *http.Response
}

// explain turns a failure of a call to the vault into a fault.
func (v *vault) explain(ctx context.Context, operation, key string, err error) error {
	if err == nil {
		return nil
	}
	if f := cutShort(ctx, operation+" of the Azure key "+key); f != nil {
		return f
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f // of the login
	}
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.RawResponse == nil {
		return v.explainTransport(operation, key, err)
	}
	body, _ := runtime.Payload(answer.RawResponse) // cached by the SDK
	var said struct {
		Error struct {
			Code, Message string
			Inner         struct{ Code string } `json:"innererror"`
		}
	}
	_ = json.Unmarshal(body, &said) // what is no JSON is not of a vault
	hidden := func(text string) string { return clean(v.login.hide(text)) }
	return problem{operation, key, "Azure " + v.ref.place.service, hidden(said.Error.Code), hidden(said.Error.Inner.Code),
		hidden(said.Error.Message), answer.RawResponse}.explain()
}

// explain decides on the HTTP status, which the documentation describes, and on
// the inner code and the text only where one status means several things.
func (p problem) explain() error {
	var f *fault.Error
	switch status := p.resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		f = fault.Transientf("kms_throttled", "run the command again; the limits of a vault are in docs/azure.md",
			"%s throttled %s with the key %s%s", p.service, p.operation, p.key, p.said())
	case status >= 500:
		f = fault.Transientf("kms_unavailable", "run the command again",
			"%s did not answer %s with the key %s%s", p.service, p.operation, p.key, p.said())
	case p.code == "":
		f = fault.Undecidedf("kms_unavailable", "check what answers in place of the vault, such as a proxy",
			"%s did not answer %s with the key %s, something else did: HTTP status %d%s", p.service, p.operation, p.key, status, p.request())
	case status == http.StatusForbidden:
		return p.forbidden()
	default:
		return p.other(status)
	}
	f.After = retryAfter(p.resp)
	return f
}

func (p problem) other(status int) error {
	switch status {
	case http.StatusNotFound:
		return fault.Configf("kms_key_not_found", "check the vault, the name and the version; a deleted key can be recovered",
			"%s has no key %s%s", p.service, p.key, p.said())
	case http.StatusUnauthorized: // the text may quote the token
		return fault.Undecidedf("azure_credentials_rejected", "check that AZURE_TENANT_ID is the tenant of the vault, and the clock of this machine",
			"%s does not accept the Azure token%s", p.service, p.request())
	case http.StatusBadRequest:
		return fault.Configf("kms_invalid_usage", "use a key of the type EC or EC-HSM on the curve P-256",
			"%s cannot do %s with the key %s%s", p.service, p.operation, p.key, p.said())
	}
	return fault.Undecidedf("kms_unexpected", "look the code up in the Azure Key Vault REST API error codes",
		"%s refused %s with the key %s%s", p.service, p.operation, p.key, p.said())
}

// forbidden tells the states of a key, its operations and the firewall from a
// missing role.
func (p problem) forbidden() error {
	const replace = "set key to its replacement and update expected-key"
	switch {
	case p.is("KeyDisabled", "on a disabled key"):
		return fault.Refusedf("kms_key_disabled", "enable it, or "+replace, "the Azure key %s is disabled%s", p.key, p.request())
	case p.is("KeyExpired", "expired key"):
		return fault.Refusedf("kms_key_disabled", "extend its expiration date, or "+replace, "the Azure key %s has expired%s", p.key, p.request())
	case p.is("KeyNotYetValid", "not yet valid"):
		return fault.Refusedf("kms_key_disabled", "wait for its activation date or change it", "the Azure key %s is not valid yet%s", p.key, p.request())
	case p.is("KeyOperationForbidden", "is not permitted on this key"):
		return fault.Configf("kms_invalid_usage", "use a key whose key operations include sign, or add sign to those of this one",
			"the Azure key %s is not for the operation %s%s", p.key, p.operation, p.request())
	case p.is("ForbiddenByFirewall", "address is not authorized"), p.is("ForbiddenByConnection", "public network access is disabled"):
		return fault.Undecidedf("kms_access_denied", "allow the address of the runner in the firewall of the vault, or sign on a runner in its network",
			"the firewall of the vault denied %s with the key %s%s", p.operation, p.key, p.said())
	}
	return fault.Undecidedf("kms_access_denied", "give the identity of this run a role with keys/read and keys/sign on the key, such as "+p.role()+", and wait some minutes for it to work",
		"%s denied %s with the key %s%s", p.service, p.operation, p.key, p.said())
}

// role names the built-in role with the least that is enough.
func (p problem) role() string { return strings.TrimPrefix(p.service, "Azure ") + " Crypto User" }

func (p problem) is(inner, text string) bool {
	return p.inner == inner || p.inner == "" && strings.Contains(strings.ToLower(p.text), text)
}

// said returns the text of the vault, its codes and the request.
func (p problem) said() string {
	if p.text == "" {
		return p.request()
	}
	return ": " + p.text + p.request()
}

func (p problem) request() string {
	var all []string
	for _, code := range []string{p.code, p.inner} {
		if code != "" {
			all = append(all, code)
		}
	}
	return fmt.Sprintf(" (%s)", strings.Join(append(all, "request "+requestID(p.resp)), ", "))
}
