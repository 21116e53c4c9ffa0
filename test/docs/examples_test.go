package docs_test

import (
	"fmt"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// action is what an example may use of an action of ours.
type action struct{ Inputs, Outputs map[string]any }

func actions(t *testing.T) map[string]action {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*", "action.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no actions:", err)
	}
	out := map[string]action{}
	for _, file := range append(files, filepath.Join(root, "action.yml")) {
		var a action
		if err := yaml.Unmarshal([]byte(readFile(t, file)), &a); err != nil || len(a.Inputs) == 0 || len(a.Outputs) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		out[path.Join("signgate/signgate", filepath.ToSlash(folder))] = a
	}
	return out
}

// parse returns the documents of a YAML text.
func parse(t *testing.T, text string) []any {
	t.Helper()
	var out []any
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var v any
		switch err := d.Decode(&v); {
		case err == io.EOF:
			return out
		case err != nil:
			t.Errorf("%v in\n%s", err, text)
			return out
		}
		out = append(out, v)
	}
}

// walk calls f for every mapping in v.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, w := range v {
			walk(w, f)
		}
	case []any:
		for _, w := range v {
			walk(w, f)
		}
	}
}

var outputOf = regexp.MustCompile(`steps\.([\w-]+)\.outputs\.([\w-]+)`)

// TestWorkflowExamples checks each YAML block of the pages: it parses, steps
// with our actions use inputs and outputs that exist, and what has jobs says
// which permissions they need.
func TestWorkflowExamples(t *testing.T) {
	known, checked := actions(t), 0
	for _, f := range fences(t, "yaml") {
		where := fmt.Sprintf("%s:%d", f.page, f.line)
		for _, v := range parse(t, f.text) {
			top, _ := v.(map[string]any)
			if top["jobs"] != nil && top["permissions"] == nil {
				t.Errorf("%s: the workflow has no permissions", where)
			}
			ids := map[string]action{}
			walk(v, func(step map[string]any) {
				uses, _ := step["uses"].(string)
				name, ref, _ := strings.Cut(uses, "@")
				a, ours := known[name]
				if !ours {
					if strings.HasPrefix(name, "signgate/") {
						t.Errorf("%s: there is no action %s", where, name)
					}
					return
				}
				checked++
				if ref != "v1" && len(ref) != 40 {
					t.Errorf("%s: %s is used at %q", where, name, ref)
				}
				if id, ok := step["id"].(string); ok {
					ids[id] = a
				}
				with, _ := step["with"].(map[string]any)
				for input := range with {
					if a.Inputs[input] == nil {
						t.Errorf("%s: %s has no input %s", where, name, input)
					}
				}
			})
			for _, m := range outputOf.FindAllStringSubmatch(f.text, -1) {
				if a, ours := ids[m[1]]; ours && a.Outputs[m[2]] == nil {
					t.Errorf("%s: the step %s has no output %s", where, m[1], m[2])
				}
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d steps with our actions were found", checked)
	}
}

// signgate builds the command line once.
var signgate = sync.OnceValues(func() (string, error) {
	path := filepath.Join(temp, "signgate")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/signgate").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

// TestCommands checks that the signgate commands in the shell blocks and in the
// scripts of the pages name verbs and flags that exist.
func TestCommands(t *testing.T) {
	checked := 0
	for _, s := range scripts(t) {
		for line := range strings.Lines(strings.ReplaceAll(s.text, "\\\n", " ")) {
			for _, words := range commands(line) {
				checked++
				checkCommand(t, fmt.Sprintf("%s:%d", s.page, s.line), words)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d commands were found", checked)
	}
	inline := regexp.MustCompile("`signgate ([^`]+)`")
	for page, text := range pages(t) {
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			checkCommand(t, page, split(m[1]))
		}
	}
}

func checkCommand(t *testing.T, where string, words []string) {
	t.Helper()
	var verb []string
	for len(words) > len(verb) && regexp.MustCompile(`^[a-z]+$`).MatchString(words[len(verb)]) {
		verb = append(verb, words[len(verb)])
	}
	help := helpOf(t, verb)
	usage := regexp.MustCompile(`(?m)^  ` + strings.Join(append([]string{"signgate"}, verb...), " ") + `\b`)
	if !usage.MatchString(help) {
		t.Errorf("%s: there is no command signgate %s", where, strings.Join(verb, " "))
		return
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`(?m)^\s+(?:-\w, )?`+regexp.QuoteMeta(flag)+`\b`).MatchString(help) {
			t.Errorf("%s: signgate %s has no flag %s", where, strings.Join(verb, " "), flag)
		}
	}
}

// helps are the texts that were asked for already, by the words of the verb.
var helps = map[string]string{}

func helpOf(t *testing.T, verb []string) string {
	t.Helper()
	key := strings.Join(verb, " ")
	if help, ok := helps[key]; ok {
		return help
	}
	path, err := signgate()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, append(slices.Clone(verb), "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("signgate %s --help: %v\n%s", key, err, out)
	}
	helps[key] = string(out)
	return string(out)
}
