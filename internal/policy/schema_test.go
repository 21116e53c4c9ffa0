package policy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/signgate/signgate/internal/policy"
)

const schemaFile = "../../docs/policy.schema.json"

func schemaText(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSchemaFields: the schema has the mappings of the loader, with its fields
// and its required fields, and closes them.
func TestSchemaFields(t *testing.T) {
	type definition struct {
		Type                 string
		Properties           map[string]json.RawMessage
		Required             []string
		AdditionalProperties *bool
	}
	var schema struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(schemaText(t), &schema); err != nil {
		t.Fatal(err)
	}
	shapes := policy.Shapes()
	for name, text := range schema.Defs {
		var d definition
		if err := json.Unmarshal(text, &d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		shape, known := shapes[name]
		switch {
		case d.Type != "object":
			if known {
				t.Errorf("%s is no object", name)
			}
		case !known:
			t.Errorf("the loader has no mapping %s", name)
		case d.AdditionalProperties == nil || *d.AdditionalProperties:
			t.Errorf("%s is open", name)
		default:
			sameNames(t, name, slices.Collect(maps.Keys(d.Properties)), shape.Fields)
			sameNames(t, name+", required", d.Required, slices.Collect(maps.Keys(shape.Required)))
		}
		delete(shapes, name)
	}
	for name := range shapes {
		t.Errorf("the schema has no %s", name)
	}
}

func sameNames(t *testing.T, what string, schema, loader []string) {
	t.Helper()
	slices.Sort(schema)
	loader = slices.Sorted(slices.Values(loader))
	if !slices.Equal(schema, loader) {
		t.Errorf("%s: the schema has %v and the loader %v", what, schema, loader)
	}
}

// TestSchema: an editor with the schema takes what loads. What it complains of
// does not load, and it complains of all that is wrong without a look at the
// keys, the patterns and the conditions.
func TestSchema(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText(t)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("policy.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive(t, "good.txtar") {
		if err := schema.Validate(instance(t, f.Data)); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	var passed []string
	for _, f := range archive(t, "bad.txtar") {
		if strings.HasPrefix(f.Name, "file-") {
			continue // for the YAML parser of the editor
		}
		if v, ok := try(f.Data); ok && schema.Validate(v) == nil {
			passed = append(passed, f.Name)
		}
	}
	golden(t, "schema-passes.golden", strings.Join(passed, "\n")+"\n")
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	v, ok := try(text)
	if !ok {
		t.Fatal("it is no YAML")
	}
	return v
}

// try reads YAML as an editor does: times are texts.
func try(text []byte) (any, bool) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, false
	}
	return value(doc.Content[0]), true
}

func value(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = value(n.Content[i+1])
		}
		return out
	case n.Kind == yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, value(c))
		}
		return out
	case n.Tag == "!!null":
		return nil
	case n.Tag == "!!bool":
		return n.Value == "true"
	case n.Tag == "!!int" || n.Tag == "!!float":
		if regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`).MatchString(n.Value) {
			return json.Number(n.Value)
		}
		return json.Number("0.5") // 010, 0x2 and the like are not written by anybody who means a number
	}
	return n.Value
}
