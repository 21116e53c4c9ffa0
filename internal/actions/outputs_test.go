package actions_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// outputs reads a file of outputs the way FileCommandManager.cs does.
func outputs(t *testing.T, text string) map[string]string {
	t.Helper()
	got := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" {
			continue
		}
		name, delimiter, ok := strings.Cut(line, "<<")
		if eq := strings.Index(line, "="); !ok || eq >= 0 && eq < len(name) {
			t.Fatalf("line %q is not a heredoc", line)
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		if i == len(lines) {
			t.Fatalf("no end of %s", name)
		}
		got[name] = strings.Join(value, "\n")
	}
	return got
}

func TestSetOutputKeepsValues(t *testing.T) {
	r, _, env := inActions(t, nil, "GITHUB_OUTPUT")
	values := map[string]string{
		"plain":    "sha256:abc",
		"empty":    "",
		"lines":    "a\nb\n\nc\n",
		"constant": "x\n_GitHubActionsFileCommandDelimeter_\nverified=true\nverified<<_GitHubActionsFileCommandDelimeter_\ntrue",
		"forged":   "x\nEOF\nverified<<EOF\ntrue\nEOF",
		"percent":  "%0A%25 ::error::",
	}
	for name, value := range values {
		if err := r.SetOutput(name, value); err != nil {
			t.Fatal(err)
		}
	}
	got := outputs(t, read(t, env["GITHUB_OUTPUT"]))
	if len(got) != len(values) {
		t.Errorf("outputs %q", got)
	}
	for name, value := range values {
		if got[name] != value {
			t.Errorf("%s: %q, want %q", name, got[name], value)
		}
	}
}

func TestSetOutputDelimitersDiffer(t *testing.T) {
	r, _, env := inActions(t, nil, "GITHUB_OUTPUT")
	seen := map[string]bool{}
	for i := range 20 {
		if err := r.SetOutput(fmt.Sprint("n", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(read(t, env["GITHUB_OUTPUT"])) {
		if _, delimiter, ok := strings.Cut(line, "<<"); ok {
			seen[delimiter] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d delimiters for 20 values", len(seen))
	}
}

func TestSetOutputRefusesItsDelimiter(t *testing.T) {
	r, _, env := inActions(t, nil, "GITHUB_OUTPUT")
	r.SetRandom(bytes.NewReader(make([]byte, 16)))
	err := r.SetOutput("digest", "x\nsigngate_"+strings.Repeat("0", 32)+"\nverified=true")
	wantCode(t, err, "output_invalid")
	if read(t, env["GITHUB_OUTPUT"]) != "" {
		t.Error("something was written")
	}
	wantCode(t, r.SetOutput("digest", "x"), "random_unavailable") // the reader is at its end
}

func TestSetOutputRefusesNames(t *testing.T) {
	r, _, _ := inActions(t, nil, "GITHUB_OUTPUT")
	for _, name := range []string{"", "a=b", "a\nb", "a\rb", "a<<b"} {
		wantCode(t, r.SetOutput(name, "x"), "output_invalid")
	}
}

func TestFileCommandsWithoutAFile(t *testing.T) {
	folder := t.TempDir()
	cases := map[string]struct{ path, code string }{
		"unset":  {"", "runner_file_missing"},
		"gone":   {folder + "/none", "runner_file_missing"},
		"no dir": {folder + "/none/none", "runner_file_missing"},
		"a dir":  {folder, "runner_file_unwritable"},
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		cases["full"] = struct{ path, code string }{"/dev/full", "runner_file_unwritable"}
	}
	for name, c := range cases {
		r, _, _ := inActions(t, map[string]string{"GITHUB_OUTPUT": c.path, "GITHUB_STEP_SUMMARY": c.path})
		for variable, err := range map[string]error{
			"GITHUB_OUTPUT": r.SetOutput("digest", "x"), "GITHUB_STEP_SUMMARY": r.AddSummary("x"),
		} {
			if err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s: error does not name %s: %v", name, variable, err)
			}
			wantCode(t, err, c.code)
		}
	}
}

func TestSummaryDropsWholeSections(t *testing.T) {
	r, _, env := inActions(t, nil, "GITHUB_STEP_SUMMARY")
	table := "## t\n" + strings.Repeat("| a | b |\n", 60_000) // 600 kB
	if err := r.AddSummary("# head\n\n", "", table, table, "tail"); err != nil {
		t.Fatal(err)
	}
	text := read(t, env["GITHUB_STEP_SUMMARY"])
	if len(text) > 1<<20 {
		t.Errorf("%d bytes", len(text))
	}
	if !strings.HasPrefix(text, "# head\n\n## t\n") || strings.Count(text, "## t") != 1 || strings.Contains(text, "tail") {
		t.Errorf("wrong sections: %.40q … %.300q", text, text[len(text)-300:])
	}
	if !strings.Contains(text, "| a | b |\n\n_2 of 4 sections are left out") {
		t.Errorf("no note: %q", text[len(text)-200:])
	}
	for range 3 { // later calls stay within the limit as well
		if err := r.AddSummary(table); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(read(t, env["GITHUB_STEP_SUMMARY"])); n > 1<<20 {
		t.Errorf("%d bytes after more calls", n)
	}
}
