//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// attestedPolicy asks for a signature and three attestations.
const attestedPolicy = `version: 1
keys:
  kms: {pem: kms.pem}
rules:
  - match: ["%s/*/app"]
    require: [{keys: [kms]}]
    attestations:
      - type: https://slsa.dev/provenance/v1
        by: {keys: [kms]}
        where: predicate.buildDefinition.internalParameters.github.event_name == "push"
      - type: https://spdx.dev/Document
        by: {keys: [kms]}
        where: predicate.spdxVersion == "SPDX-2.3"
      - type: https://cosign.sigstore.dev/attestation/vuln/v1
        by: {keys: [kms]}
        which: newest
        maxAge: 7d
        where: predicate.scanner.result.critical < 2
`

// TestAttested runs a release that signs and makes provenance, SBOMs, a scan and a
// list of contents in one step, and a deployment that wants them. Then without
// one of them, and with a stricter policy.
func TestAttested(t *testing.T) {
	w := newWorkflows(t)
	write(t, filepath.Join(w.snapshot, "keys", "policy.yaml"), fmt.Sprintf(attestedPolicy, w.registry))
	const workflow = "test/e2e/workflows/attested.yml"
	t.Run("attested", func(t *testing.T) {
		out, passed := w.act(t, "attested")
		if !passed {
			t.Fatal("the workflow failed")
		}
		want(t, out, "DEPLOYED "+w.registry+"/attested/app@"+builtDigest(t, out))
	})
	for _, test := range []struct {
		name    string
		changes []change
		says    string // how it fails
	}{
		{"without-sbom", []change{{workflow, `(?m)^ +sbom-path: \|\n.*\n.*\n`, ""}, {workflow, `length >= 5`, "length >= 3"}, {workflow, `length == 4`, "length == 3"}}, "::attestation_missing: "},
		{"without-provenance", []change{{workflow, `(?m)^ +provenance: .*\n`, ""}, {workflow, `length == 4`, "length == 3"}}, "it has no attestation of the type https://slsa.dev/provenance/v1"},
		{"stricter", []change{{"keys/policy.yaml", `critical < 2`, "critical == 0"}}, "::condition: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed := w.with(t, append(test.changes, change{workflow, `name: attested\n`, "name: " + test.name + "\n"})...)
			out, passed := changed.act(t, "attested")
			if passed || strings.Contains(out, "DEPLOYED") {
				t.Fatal("the workflow passed")
			}
			builtDigest(t, out)
			want(t, out, test.says, "exit with `FAILURE`: 1")
		})
	}
}
