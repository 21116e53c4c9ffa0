package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

const schemaFile = "../../docs/report.schema.json"

// definition is a schema of an object.
type definition struct {
	Properties           map[string]json.RawMessage
	Required             []string
	AdditionalProperties *bool
}

// TestSchemaFields: the schema has the members of the Go types, requires those
// that are always there, and closes every object.
func TestSchemaFields(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		definition
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(withoutMaps(text), &schema); err != nil {
		t.Fatal(err)
	}
	sameShape(t, "the report", schema.definition, report.Report{})
	for name, v := range map[string]any{
		"run": envelope.Run{}, "error": report.Failure{}, "key": report.Key{}, "custody": signer.Custody{}, "trust": report.Trust{},
		"subject": report.Subject{}, "rule": report.Rule{}, "finding": report.Finding{}, "signature": report.Signature{}, "claims": envelope.Claims{},
		"keyClaim": envelope.KeyClaim{}, "attestation": report.Attestation{}, "ignored": report.Ignored{}, "skipped": image.Skipped{},
	} {
		sameShape(t, name, schema.Defs[name], v)
		delete(schema.Defs, name)
	}
	for name, d := range schema.Defs {
		if len(d.Properties) > 0 {
			t.Errorf("no Go type is compared with %s", name)
		}
	}
}

// withoutMaps drops the schemas of maps, whose members have any name.
func withoutMaps(text []byte) []byte {
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return text
	}
	delete(all["$defs"].(map[string]any), "timings")
	out, err := json.Marshal(all)
	if err != nil {
		return text
	}
	return out
}

func sameShape(t *testing.T, name string, d definition, v any) {
	t.Helper()
	all, required := fields(reflect.TypeOf(v))
	var has []string
	for p := range d.Properties {
		has = append(has, p)
	}
	slices.Sort(has)
	slices.Sort(d.Required)
	if !slices.Equal(has, all) {
		t.Errorf("%s: the schema has %v, the program %v", name, has, all)
	}
	if !slices.Equal(d.Required, required) {
		t.Errorf("%s: the schema requires %v, the program always writes %v", name, d.Required, required)
	}
	if d.AdditionalProperties == nil || *d.AdditionalProperties {
		t.Errorf("%s is open", name)
	}
}

// fields returns the members of a type, and those that are always written.
func fields(of reflect.Type) (all, required []string) {
	for f := range of.Fields() {
		if f.Anonymous {
			more, needed := fields(f.Type)
			all, required = append(all, more...), append(required, needed...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		all = append(all, name)
		if options == "" {
			required = append(required, name)
		}
	}
	slices.Sort(all)
	slices.Sort(required)
	return all, required
}

// compile reads a schema.
func compile(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, what string, text []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%s: %v\n%.2000s", what, err, text)
	}
}

// TestSchema: the fixtures are what the schema describes. What the program makes
// is compared in internal/cli.
func TestSchema(t *testing.T) {
	schema := compile(t, schemaFile)
	for name, r := range fixtures() {
		if name == "hostile" {
			continue // its hashes and digests are none
		}
		var b bytes.Buffer
		if err := r.JSON(&b); err != nil {
			t.Fatal(err)
		}
		validate(t, schema, name, b.Bytes())
	}
}
