package sbom_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/sbom"
)

// schemas returns the official schemas by the versions that documents state.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	names, err := filepath.Glob("testdata/schema/*.gz")
	at := map[string]string{}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var schema any
		if err := json.Unmarshal(unzip(t, name), &schema); err != nil {
			t.Fatal(name, err)
		}
		at[filepath.Base(name)] = resource(name, schema)
		if err := c.AddResource(resource(name, schema), schema); err != nil {
			t.Fatal(name, err)
		}
	}
	// CycloneDX 1.7 refers to lists of names that its Go module does not have.
	defs := map[string]any{"definitions": map[string]any{"algorithmFamiliesEnum": true, "ellipticCurvesEnum": true}}
	if err := c.AddResource("http://cyclonedx.org/schema/cryptography-defs.schema.json", defs); err != nil {
		t.Fatal(err)
	}
	out := map[string]*jsonschema.Schema{}
	for _, v := range []string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"} {
		out["CycloneDX "+v] = c.MustCompile(at["bom-"+v+".schema.json.gz"])
	}
	spdx := c.MustCompile(at["spdx-schema-2.3.json.gz"])
	out["SPDX-2.2"], out["SPDX-2.3"] = spdx, spdx
	return out
}

// resource returns the address of a schema, against which it resolves others.
func resource(name string, schema any) string {
	if id, _ := schema.(map[string]any)["$id"].(string); strings.Contains(id, "cyclonedx") {
		return id
	}
	return "http://spdx.org/" + strings.TrimSuffix(filepath.Base(name), ".gz")
}

func unzip(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSchemas: what is accepted is valid by the schema of its own version. There
// is none of SPDX 2.2; that of 2.3 accepts its documents. Trivy 0.69.3 writes the
// purpose OPERATING-SYSTEM, which the specification has and its schema spells
// OPERATING_SYSTEM.
func TestSchemas(t *testing.T) {
	all, used := schemas(t), map[string]bool{}
	for _, f := range attesttest.All(t) {
		p, err := sbom.Read(f.Data)
		if err != nil {
			continue
		}
		var document map[string]any
		if err := json.Unmarshal(p.Body, &document); err != nil {
			t.Fatal(err)
		}
		version, _ := document["spdxVersion"].(string)
		if v, ok := document["specVersion"].(string); ok {
			version = "CycloneDX " + v
		}
		used[version] = true
		if err := all[version].Validate(document); err != nil && f.Name != "trivy-digest-spdx-2.3.json" {
			t.Errorf("%s, %s: %v", f.Name, version, err)
		}
	}
	if len(used) != len(all) {
		t.Errorf("%d of %d schemas were used", len(used), len(all))
	}
}
