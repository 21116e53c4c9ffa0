package report_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPage: docs/report.md has the members of the schema, in its order and with
// its words. With -update it gets them.
func TestPage(t *testing.T) {
	const page = "../../docs/report.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "<!-- BEGIN members -->\n")
	_, after, found := strings.Cut(rest, "<!-- END members -->")
	if !found {
		t.Fatal("docs/report.md has no place for the members")
	}
	schema := read(t)
	var b strings.Builder
	table(t, &b, "The report", schema)
	for _, name := range order(schema.Defs) {
		var d described
		if err := json.Unmarshal(member(schema.Defs, name), &d); err != nil {
			t.Fatal(err)
		}
		if len(order(d.Properties)) > 0 {
			table(t, &b, "`"+name+"`", d)
		}
	}
	compare(t, page, before+"<!-- BEGIN members -->\n"+b.String()+"<!-- END members -->"+after)
}

// described is a schema of an object with its words.
type described struct {
	Description string
	Ref         string `json:"$ref"`
	Type        any
	Const       any
	Enum        []string
	AnyOf       []described
	Items       *described
	Properties  json.RawMessage
	Required    []string
	Defs        json.RawMessage `json:"$defs"`
}

func read(t *testing.T) (d described) {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err == nil {
		// An enum of numbers is the exit codes; all others are of texts.
		err = json.Unmarshal([]byte(strings.Replace(strings.Join(strings.Fields(string(text)), " "), `"enum": [ 0, 1, 2, 3 ]`, `"enum": ["0", "1", "2", "3"]`, 1)), &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func table(t *testing.T, b *strings.Builder, title string, d described) {
	t.Helper()
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n| member | type | when | meaning |\n|---|---|---|---|\n", title, d.Description)
	for _, name := range order(d.Properties) {
		var m described
		if err := json.Unmarshal(member(d.Properties, name), &m); err != nil {
			t.Fatal(err)
		}
		when := ""
		if slices.Contains(d.Required, name) {
			when = "always"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, m.kind(), when, m.Description)
	}
}

// kind is a type for people.
func (d described) kind() string {
	target := strings.TrimPrefix(d.Ref, "#/$defs/")
	switch {
	case target == "digest" || target == "code" || target == "outcome" || target == "timings":
		return map[string]string{"digest": "`sha256:…`", "code": "[code](errors.md#error-codes)", "outcome": "[outcome](errors.md#exit-codes)", "timings": "map of numbers"}[target]
	case target != "":
		return fmt.Sprintf("[%s](#%s)", target, strings.ToLower(target))
	case len(d.Enum) > 0:
		return "`" + strings.TrimSuffix(strings.Join(d.Enum, "`, `"), "`, `") + "`"
	case d.Const != nil:
		return fmt.Sprintf("`%v`", d.Const)
	case d.Items != nil:
		return "list of " + d.Items.kind()
	case len(d.AnyOf) > 0:
		return d.AnyOf[0].kind()
	case d.Type == "object":
		return "map of texts"
	}
	return map[any]string{"string": "text", "integer": "number", "boolean": "true or false"}[d.Type]
}

// order returns the names of the members of an object, as they stand there.
func order(object json.RawMessage) (names []string) {
	dec := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := dec.Token(); err != nil {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		var skip json.RawMessage
		if err != nil || dec.Decode(&skip) != nil {
			return names
		}
		names = append(names, name.(string))
	}
	return names
}

func member(object json.RawMessage, name string) json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(object, &all) != nil {
		return nil
	}
	return all[name]
}
