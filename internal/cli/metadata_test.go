package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write action.yml and docs/inputs.md from the list of inputs")

const repoRoot = "../.."

// actionOnly are the defaults that only the runner can fill in.
var actionOnly = map[string]string{"github-token": "${{ github.token }}"}

// actionFiles are the metadata files and the verb each one runs.
var actionFiles = map[string]string{"action.yml": "sign", "attest/action.yml": "attest", "verify/action.yml": "verify"}

func yamlInputs(verb string) string {
	var b strings.Builder
	b.WriteString("inputs:\n")
	for _, in := range verbInputs(verb) {
		def := in.def
		if actionOnly[in.name] != "" {
			def = actionOnly[in.name]
		}
		fmt.Fprintf(&b, "  %s:\n    description: %q\n    required: false\n    default: %q\n", in.name, in.help, def)
	}
	return b.String()
}

func markdownInputs() string {
	var b strings.Builder
	b.WriteString("| input and flag | default | sign | attest | verify | meaning |\n|---|---|---|---|---|---|\n")
	for _, in := range inputs() {
		def := in.def
		if def != "" {
			def = "`" + def + "`"
		}
		if actionOnly[in.name] != "" {
			def = "the job's token (action)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", in.name, def, tick(in.takes("sign")), tick(in.takes("attest")), tick(in.takes("verify")), in.help)
	}
	return b.String()
}

func tick(b bool) string {
	if b {
		return "✓"
	}
	return ""
}

// between returns what stands between two marker lines, and the text with it
// replaced.
func between(t *testing.T, text, begin, end, with string) (got, replaced string) {
	before, rest, ok1 := strings.Cut(text, begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("the markers %q and %q are missing", begin, end)
	}
	return got, before + begin + with + end + after
}

func checkGenerated(t *testing.T, name, begin, end, want string) {
	path := filepath.Join(repoRoot, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, replaced := between(t, string(data), begin, end, want)
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(replaced), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not agree with the list of inputs; run: go test ./internal/cli -run Generated -update", name)
}

func TestGeneratedFiles(t *testing.T) {
	for name, verb := range actionFiles {
		checkGenerated(t, name, "# BEGIN inputs\n", "# END inputs\n", yamlInputs(verb))
	}
	checkGenerated(t, "docs/inputs.md", "<!-- BEGIN inputs -->\n", "<!-- END inputs -->\n", markdownInputs())
}

type actionYAML struct {
	Name        string
	Description string
	Author      string
	Branding    struct{ Icon, Color string }
	Inputs      map[string]struct {
		Description, Default string
		Required             bool
	}
	Outputs map[string]struct{ Description string }
	Runs    struct {
		Using, Image, Entrypoint string
		Args                     []string
	}
}

func readAction(t *testing.T, name string) actionYAML {
	f, err := os.Open(filepath.Join(repoRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var a actionYAML
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&a); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

// TestActionMetadata reads the files as the runner does: what they declare is
// what the program takes.
func TestActionMetadata(t *testing.T) {
	for name, verb := range actionFiles {
		a := readAction(t, name)
		known := map[string]bool{}
		for _, in := range verbInputs(verb) {
			known[in.name] = true
			if _, ok := a.Inputs[in.name]; !ok {
				t.Errorf("%s lacks the input %s", name, in.name)
			}
		}
		for in := range a.Inputs {
			if !known[in] {
				t.Errorf("%s has the input %s, which %s does not take", name, in, verb)
			}
		}
		if len(a.Runs.Args) != 1 || a.Runs.Args[0] != verb || a.Runs.Using != "docker" {
			t.Errorf("%s runs %q with %q", name, a.Runs.Args, a.Runs.Using)
		}
	}
}

// TestActionOutputs compares the declared outputs with those that a failing
// and a passing run set.
func TestActionOutputs(t *testing.T) {
	for name, verb := range actionFiles {
		r := &run{report: newReport(verb, "test", false, "")}
		set := map[string]bool{}
		r.setOutputs(func(n, _ string) { set[n] = true }, "")
		declared := readAction(t, name).Outputs
		documented := outputsOf(t, verb)
		for n := range declared {
			if !set[n] {
				t.Errorf("%s declares the output %s, which %s never sets", name, n, verb)
			}
		}
		for n := range set {
			if _, ok := declared[n]; !ok {
				t.Errorf("%s lacks the output %s", name, n)
			}
			if !documented[n] {
				t.Errorf("docs/inputs.md does not give the output %s to %s", n, verb)
			}
		}
		if len(documented) != len(set) {
			t.Errorf("docs/inputs.md gives %d outputs to %s, and it sets %d", len(documented), verb, len(set))
		}
	}
}

// outputsOf returns the outputs that docs/inputs.md gives to a verb.
func outputsOf(t *testing.T, verb string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repoRoot, "docs/inputs.md"))
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{"sign": 2, "attest": 3, "verify": 4}[verb]
	_, table, _ := strings.Cut(string(text), "\n| output |")
	table, _, _ = strings.Cut(table, "\n\n")
	out := map[string]bool{}
	for _, row := range strings.Split(table, "\n")[2:] {
		if cells := strings.Split(row, "|"); strings.Contains(cells[column], "✓") {
			out[strings.Trim(cells[1], " `")] = true
		}
	}
	return out
}
