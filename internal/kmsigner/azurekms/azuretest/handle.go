package azuretest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// Do answers a request, as the transport of a client. Without a token it asks
// for one; it does not look at the token.
func (v *Vault) Do(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.Header.Get("Authorization") == "" {
		return v.typed.Do(req) // the challenge of the SDK's fake
	}
	operation := "get"
	if strings.HasSuffix(req.URL.Path, "/sign") {
		operation = "sign"
	}
	v.mu.Lock()
	v.calls[operation]++
	var fault Fault
	if all := v.faults[operation]; len(all) > 0 {
		fault, v.faults[operation] = all[0], all[1:]
	}
	v.mu.Unlock()
	answer := func() (*http.Response, error) { return v.answer(req, operation) }
	if fault != nil {
		intact := answer
		answer = func() (*http.Response, error) { return fault(req, intact) }
	}
	resp, err := answer()
	if err == nil {
		resp.Request = req
	}
	return resp, err
}

// answer checks what the service checks before the typed server answers.
func (v *Vault) answer(req *http.Request, operation string) (*http.Response, error) {
	if got := req.URL.Query().Get("api-version"); got == "" {
		return problem(http.StatusBadRequest, "BadParameter", "", "api-version must be specified"), nil
	}
	v.mu.Lock()
	name, id := split(req.URL.Path)
	ver := v.find(name, id)
	var refusal *http.Response
	if ver == nil {
		refusal = problem(http.StatusNotFound, "KeyNotFound", "", fmt.Sprintf("A key with (name/id) %s/%s was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.", name, id))
	} else if operation == "sign" {
		refusal = ver.state.refusal()
	}
	v.mu.Unlock()
	if refusal == nil && operation == "sign" {
		refusal = ver.unfit(req)
	}
	if refusal != nil {
		return refusal, nil
	}
	// The typed server goes by the name of the method, which a request that
	// came over a wire has lost.
	method := map[string]string{"get": "Client.GetKey", "sign": "Client.Sign"}[operation]
	return v.typed.Do(req.WithContext(context.WithValue(req.Context(), runtime.CtxAPINameKey{}, method)))
}

// refusal is what a state does to signing. The texts for a disabled key and
// for an operation are recorded (azure-sdk-for-python#45342,
// azure-sdk-for-net#11518); those for a validity period are after the ones of
// secrets (Azure/AzureKeyVault#19).
func (s State) refusal() *http.Response {
	now := time.Now()
	forbidden := func(inner, text string) *http.Response {
		return problem(http.StatusForbidden, "Forbidden", inner, text)
	}
	switch {
	case !s.Enabled:
		return forbidden("KeyDisabled", "Operation sign is not allowed on a disabled key.")
	case s.Expires != nil && !now.Before(*s.Expires):
		return forbidden("KeyExpired", "Operation sign is not allowed on an expired key.")
	case s.NotBefore != nil && now.Before(*s.NotBefore):
		return forbidden("KeyNotYetValid", "Operation sign is not allowed on a key that is not yet valid.")
	case !slices.Contains(s.Operations, "sign"):
		return forbidden("KeyOperationForbidden", "Operation sign is not permitted on this key.")
	}
	return nil
}

// unfit reads the body strictly and checks algorithm and digest.
func (ver *version) unfit(req *http.Request) *http.Response {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<16))
	if err != nil {
		return problem(http.StatusBadRequest, "BadParameter", "", "the body cannot be read")
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	var strict struct {
		Alg   azkeys.SignatureAlgorithm `json:"alg"`
		Value string                    `json:"value"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&strict); err != nil || strings.ContainsAny(strict.Value, "+/=") {
		return problem(http.StatusBadRequest, "BadParameter", "", "Property has invalid value")
	}
	var in azkeys.SignParameters
	if err := json.Unmarshal(body, &in); err != nil {
		return problem(http.StatusBadRequest, "BadParameter", "", "Property has invalid value")
	}
	if err := ver.can(strict.Alg, in.Value); err != nil {
		return problem(http.StatusBadRequest, "BadParameter", "", err.Error())
	}
	return nil
}

// problem is an error answer of the service.
func problem(status int, code, inner, text string) *http.Response {
	said := map[string]any{"code": code, "message": text}
	if inner != "" {
		said["innererror"] = map[string]string{"code": inner}
	}
	body, _ := json.Marshal(map[string]any{"error": said})
	return response(status, "application/json; charset=utf-8", body)
}

func response(status int, contentType string, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {contentType}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}
