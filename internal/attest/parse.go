package attest

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Parse parses a document that others have written: names are compared with
// their case, none may be there twice, and those that v does not have are passed
// over. The error says which member has a wrong type.
func Parse(text []byte, v any) error {
	err := json.Unmarshal(text, v)
	if e, ok := errors.AsType[*json.SemanticError](err); ok && kinds[e.JSONKind] != "" {
		return fmt.Errorf("its member %q is %s, which it cannot be", e.JSONPointer, kinds[e.JSONKind])
	}
	return err
}

var kinds = map[jsontext.Kind]string{
	'{': "an object", '[': "a list", '"': "a text", '0': "a number of this kind", 't': "true", 'f': "false", 'n': "null",
}
