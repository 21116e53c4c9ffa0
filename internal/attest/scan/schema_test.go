package scan_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"strings"
	"testing"

	vulns "github.com/in-toto/attestation/go/predicates/vulns/v02"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/scan"
)

// TestInToto: the predicate is in-toto's message, without a member that it does
// not have. That of version 0.2 has the members which the specification of 0.1
// asks for; that of 0.1 calls three of them otherwise than its own specification.
func TestInToto(t *testing.T) {
	for _, f := range attesttest.All(t) {
		p, err := scan.Read(f.Data, scan.InToto)
		if err != nil || p.Type == attest.Malware {
			continue
		}
		m := new(vulns.Vulns)
		if err := protojson.Unmarshal(p.Body, m); err != nil || m.GetScanner().GetUri() == "" {
			t.Errorf("%s: %v in %s", f.Name, err, p.Body)
		}
		for _, r := range m.GetScanner().GetResult() {
			if r.GetId() == "" || len(r.GetSeverity()) != 1 || r.GetSeverity()[0].GetMethod() == "" || r.GetSeverity()[0].GetScore() == "" {
				t.Errorf("%s: the result %v", f.Name, r)
			}
		}
	}
}

// TestSARIFSchema: the SARIF that is accepted is valid by its schema, but for what
// real tools write.
func TestSARIFSchema(t *testing.T) {
	data, err := os.ReadFile("testdata/schema/sarif-schema-2.1.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(r)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("http://example.com/sarif", document); err != nil {
		t.Fatal(err)
	}
	schema := c.MustCompile("http://example.com/sarif")
	checked := 0
	for _, f := range attesttest.All(t) {
		if !strings.Contains(f.Name, "sarif") {
			continue
		}
		checked++
		report, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.TrimPrefix(f.Data, []byte("\uFEFF"))))
		if err != nil {
			t.Fatal(f.Name, err)
		}
		if err := schema.Validate(report); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if checked < 15 {
		t.Errorf("only %d reports are SARIF", checked)
	}
}
