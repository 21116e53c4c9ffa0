package cli

import "strings"

// cosigns are commands and flags of cosign, as an error names them, and what they
// are here.
var cosigns = []struct{ said, hint string }{
	{`"verify-attestation"`, "use signgate verify --trusted-keys FILE --attestation TYPE IMAGE"},
	{`"tree"`, "use signgate inspect IMAGE"},
	{`"triangulate"`, "use signgate inspect IMAGE"},
	{`"public-key"`, "use signgate key public --key URI"},
	{`"generate-key-pair"`, "make a key with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, or in your KMS"},
	{"flag: --key", "to verify, give the public key with --trusted-keys"},
	{"flag: --type", "use --predicate-type to attest, --attestation to verify"},
	{"flag: --predicate", "use --predicate-path"},
	{"flag: --yes", "leave it out; nothing is asked"},
}

// usageHint returns the next step after a mistake on the command line.
func usageHint(said string) string {
	for _, c := range cosigns {
		if strings.HasSuffix(said, c.said) || strings.Contains(said, c.said+" for") {
			return c.hint
		}
	}
	return "see signgate --help"
}
