package kmstest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// input holds the members of all operations.
type input struct {
	KeyID            string
	Message          []byte
	MessageType      string
	SigningAlgorithm string
	Signature        []byte
	GrantTokens      []string
	DryRun           bool
}

// members says which members an operation has; those of required have to be
// there.
type members struct{ required, optional []string }

var operations = map[string]members{
	"DescribeKey":  {[]string{"KeyId"}, []string{"GrantTokens"}},
	"GetPublicKey": {[]string{"KeyId"}, []string{"GrantTokens"}},
	"Sign":         {[]string{"KeyId", "Message", "SigningAlgorithm"}, []string{"MessageType", "GrantTokens", "DryRun"}},
	"Verify":       {[]string{"KeyId", "Message", "SigningAlgorithm", "Signature"}, []string{"MessageType", "GrantTokens", "DryRun"}},
}

// decode reads the body of a request strictly: one JSON object with members of
// the operation, spelled exactly, of the right types and within the model's
// bounds.
func decode(operation string, body []byte) (input, *apiError) {
	in := input{MessageType: "RAW"}
	var raw map[string]json.RawMessage
	if json.Unmarshal(body, &raw) != nil || raw == nil {
		return in, refuse("SerializationException", "the body is not a JSON object")
	}
	for name, value := range raw {
		if failure := in.set(operations[operation], name, value); failure != nil {
			return in, failure
		}
	}
	for _, name := range operations[operation].required {
		if value, ok := raw[name]; !ok || string(value) == "null" {
			return in, invalid("null", lowerFirst(name), "not be null")
		}
	}
	return in, in.bounds(operation)
}

func (in *input) set(known members, name string, value json.RawMessage) *apiError {
	if !slices.Contains(known.required, name) && !slices.Contains(known.optional, name) {
		return refuse("SerializationException", "unknown member %s", strconv.Quote(name))
	}
	target := map[string]any{
		"KeyId": &in.KeyID, "Message": &in.Message, "MessageType": &in.MessageType, "SigningAlgorithm": &in.SigningAlgorithm,
		"Signature": &in.Signature, "GrantTokens": &in.GrantTokens, "DryRun": &in.DryRun,
	}[name]
	_, isBlob := target.(*[]byte)
	if isBlob && value[0] == '[' || json.Unmarshal(value, target) != nil {
		return refuse("SerializationException", "the value of %s has the wrong type", name)
	}
	return nil
}

func (in *input) bounds(operation string) *apiError {
	signs := operation == "Sign" || operation == "Verify"
	switch {
	case len(in.KeyID) < 1:
		return invalid(in.KeyID, "keyId", "have length greater than or equal to 1")
	case len(in.KeyID) > 2048:
		return invalid(in.KeyID, "keyId", "have length less than or equal to 2048")
	case len(in.GrantTokens) > 10:
		return invalid("[…]", "grantTokens", "have length less than or equal to 10")
	case len(in.Message) > 4096:
		return invalid("java.nio.HeapByteBuffer", "message", "have length less than or equal to 4096")
	case signs && !slices.Contains(messageTypes, in.MessageType):
		return invalid(in.MessageType, "messageType", "satisfy enum value set: ["+strings.Join(messageTypes, ", ")+"]")
	case signs && !slices.Contains(algorithmNames, in.SigningAlgorithm):
		return invalid(in.SigningAlgorithm, "signingAlgorithm", "satisfy enum value set: ["+strings.Join(algorithmNames, ", ")+"]")
	case operation == "Verify" && (len(in.Signature) < 1 || len(in.Signature) > 6144):
		return invalid("java.nio.HeapByteBuffer", "signature", "have length between 1 and 6144")
	}
	return nil
}

var messageTypes = []string{"RAW", "DIGEST", "EXTERNAL_MU"}

// algorithmNames are all of the model (types.SigningAlgorithmSpec), also those
// that no key here has.
var algorithmNames = []string{
	"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
	"ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512", "SM2DSA", "ML_DSA_SHAKE_256",
	"ED25519_SHA_512", "ED25519_PH_SHA_512",
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
