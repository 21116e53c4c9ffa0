package hsm

import (
	"strings"
	"testing"
)

// known are the faults of signgate that this suite found and that are not
// mended yet: by test, what the error says. Such a test passes while it fails
// in this way. A fault that is mended has to leave the list.
var known = map[string]string{
	// One key whose public half is malformed hides all others of its token.
	"TestModules/tpm2/list": "is not on its curve",

	// tpm2-pkcs11 refuses CKA_DECRYPT false in the template of an RSA key.
	"TestModules/tpm2/generate/RSA-2048": "C_GenerateKeyPair returned CKR_GENERAL_ERROR",
	"TestModules/tpm2/generate/RSA-3072": "C_GenerateKeyPair returned CKR_GENERAL_ERROR",
}

// knownFault reports whether err is what this test is known to end with.
func knownFault(t *testing.T, err error) bool {
	t.Helper()
	text, ok := known[t.Name()]
	if ok && (err == nil || !strings.Contains(err.Error(), text)) {
		t.Errorf("%v: want the known fault %q; when it is mended, take it out of known", err, text)
	}
	return ok
}
