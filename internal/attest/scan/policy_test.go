package scan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// TestConditions: the conditions that the pages give decide by the predicates.
func TestConditions(t *testing.T) {
	vulns, malware := conditions(t, "../../../docs/policy.md")["https://cosign.sigstore.dev/attestation/vuln/v1"],
		conditions(t, "../../../docs/predicates/malware-scan.md")["https://signgate.dev/attestation/malware-scan/v1"]
	if vulns == nil || malware == nil {
		t.Fatal("a page has no policy with the predicate type")
	}
	for name, met := range map[string]bool{
		"trivy": false, "trivy-nothing": true, "trivy-duplicates-count-once": true, "grype": false, "grype-nothing": true,
		"sarif-scores": false, "sarif-levels": true, "clamscan-clean": true, "clamscan-infected": false,
	} {
		where := vulns
		if name[0] == 'c' {
			where = malware
		}
		err := where.Meets(policy.Facts{Predicate: predicate(t, name)})
		if met != (err == nil) || err != nil && fault.CodeOf(err) != "condition" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// predicate returns what is made of a vector, as the gate reads it.
func predicate(t *testing.T, name string) (out map[string]any) {
	t.Helper()
	for _, f := range attesttest.Vectors(t, "good.txtar") {
		if f.Name != name {
			continue
		}
		p, err := scan.Read(f.Data, scan.Cosign)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(p.Body))
		dec.UseNumber()
		if err := dec.Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatalf("no vector %s", name)
	return nil
}

// conditions returns those of the policies of a page by their predicate types.
func conditions(t *testing.T, page string) map[string]*policy.Condition {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*policy.Condition{}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```").FindAllSubmatch(text, -1) {
		p, err := policy.Load(policy.Source{Name: page, Text: block[1], Now: time.Now(), Read: func(string) ([]byte, error) {
			return os.ReadFile("../../policy/testdata/keys/a.pub")
		}})
		if err != nil {
			continue // of other things, with other keys
		}
		for _, rule := range p.Rules {
			for _, a := range rule.Attestations {
				out[a.Type] = a.Where
			}
		}
	}
	return out
}
