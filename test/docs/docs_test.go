// Package docs_test checks what the documentation states: links, examples,
// commands, claims and error codes; and the workflows of this repository.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages returns the documentation by its path below root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	out := map[string]string{}
	for _, name := range names {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(rel)] = read(t, rel)
	}
	if len(out) < 10 {
		t.Fatalf("found only %d pages", len(out))
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fence is a fenced block of a page.
type fence struct {
	page, language, text string
	line                 int
	indent               string // of a block in a list
}

// fences returns the blocks of a language in all pages.
func fences(t *testing.T, language string) []fence {
	t.Helper()
	var out []fence
	for page, text := range pages(t) {
		var open *fence
		for i, line := range strings.Split(text, "\n") {
			mark, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
			switch {
			case open == nil && ok:
				open = &fence{page: page, language: mark, line: i + 1, indent: line[:strings.Index(line, "`")]}
			case open != nil && ok:
				if open.language == language {
					out = append(out, *open)
				}
				open = nil
			case open != nil:
				open.text += strings.TrimPrefix(line, open.indent) + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s:%d: the block is not closed", page, open.line)
		}
	}
	slices.SortFunc(out, func(a, b fence) int { return strings.Compare(a.page, b.page)*10000 + a.line - b.line })
	return out
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	anchored = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinks(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			name := page
			if target != "" {
				name = filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			}
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, m[1])
			} else if fragment != "" && !slices.Contains(anchors(all[name]), fragment) {
				t.Errorf("%s: %s has no heading for the link %s", page, name, m[1])
			}
		}
	}
}

// anchors returns the fragments that GitHub makes of headings.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		s := anchored.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(s, " ", "-"))
	}
	return out
}

// TestReachable checks that a reader can find each page from the README.
func TestReachable(t *testing.T) {
	all := pages(t)
	reached, next := map[string]bool{}, []string{"README.md"}
	for len(next) > 0 {
		page := next[0]
		next = next[1:]
		if reached[page] {
			continue
		}
		reached[page] = true
		for _, m := range link.FindAllStringSubmatch(all[page], -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if strings.HasSuffix(target, ".md") && !strings.Contains(target, "://") {
				next = append(next, filepath.ToSlash(filepath.Join(filepath.Dir(page), target)))
			}
		}
	}
	for page := range all {
		if !reached[page] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// TestMakeTargets checks that the targets that the pages name are in the Makefile.
func TestMakeTargets(t *testing.T) {
	makefile := read(t, "Makefile")
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)")
	for page, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: the Makefile has no target %s", page, m[1])
			}
		}
	}
}

// TestWorkflows lints the workflows of this repository, and the whole
// workflows in the pages.
func TestWorkflows(t *testing.T) {
	actionlint := os.Getenv("ACTIONLINT")
	if actionlint == "" {
		t.Fatal("ACTIONLINT does not name actionlint; run: make test")
	}
	lint := func(t *testing.T, stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(actionlint, args...)
		cmd.Dir, cmd.Stdin = root, strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("actionlint: %v\n%s", err, out)
		}
	}
	t.Run("repository", func(t *testing.T) { lint(t, "") })
	for _, f := range fences(t, "yaml") {
		if !strings.Contains(f.text, "jobs:") {
			continue
		}
		t.Run(f.page, func(t *testing.T) {
			text := f.text
			if !strings.Contains(text, "\non:") {
				text = "on: push\n" + text
			}
			lint(t, text, "-")
		})
	}
}

var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestPins checks that our workflows take actions of others by commit, and say
// which version that is.
func TestPins(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no workflows:", err)
	}
	releasing := read(t, "docs/releasing.md")
	for _, file := range files {
		name := strings.TrimPrefix(filepath.ToSlash(file), root+"/")
		for i, line := range strings.Split(read(t, name), "\n") {
			_, uses, ok := strings.Cut(line, "uses: ")
			switch {
			case !ok || strings.HasPrefix(uses, "./"):
			case !pinned.MatchString(uses):
				t.Errorf("%s:%d: %s is not pinned by commit with its version", name, i+1, uses)
			default:
				action, _, _ := strings.Cut(uses, "@")
				_, version, _ := strings.Cut(uses, " # ")
				if !strings.Contains(releasing, action+" "+version) {
					t.Errorf("%s:%d: docs/releasing.md does not list %s %s", name, i+1, action, version)
				}
			}
		}
	}
}

// TestRunScripts checks that no script of our workflows has an expression in
// it: values reach scripts by the environment alone.
func TestRunScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, n := range parse(t, readFile(t, file)) {
			walk(n, func(m map[string]any) {
				if script, ok := m["run"].(string); ok && strings.Contains(script, "${{") {
					t.Errorf("%s: a script has an expression in it:\n%s", file, script)
				}
			})
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
