package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// script is shell in a page: a block, or part of one.
type script struct {
	page, text string
	line       int
}

// scripts returns the shell of all pages: sh blocks, the scripts in YAML of
// GitHub, GitLab and Tekton, and the sh steps of Jenkinsfiles.
func scripts(t *testing.T) []script {
	t.Helper()
	var out []script
	for _, f := range fences(t, "sh") {
		out = append(out, script{f.page, f.text, f.line})
	}
	for _, f := range fences(t, "yaml") {
		for _, v := range parse(t, f.text) {
			walk(v, func(m map[string]any) {
				for _, name := range []string{"run", "script", "before_script", "after_script"} {
					for _, text := range texts(m[name]) {
						out = append(out, script{f.page, text, f.line})
					}
				}
			})
		}
	}
	for _, f := range fences(t, "groovy") {
		for _, m := range shStep.FindAllStringSubmatch(f.text, -1) {
			out = append(out, script{f.page, m[1] + m[2] + m[3] + m[4], f.line})
		}
	}
	return out
}

var shStep = regexp.MustCompile(`(?s)\bsh\s+(?:\'\'\'(.*?)\'\'\'|"""(.*?)"""|\'([^\'\n]*)\'|"([^"\n]*)")`)

// texts returns a text, or the texts of a list.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, w := range v {
			out = append(out, texts(w)...)
		}
		return out
	}
	return nil
}

// TestScriptsAreFound: each kind of page that has commands of ours is looked into.
func TestScriptsAreFound(t *testing.T) {
	for _, page := range []string{"README.md", "docs/recipes/gitlab.md", "docs/recipes/jenkins.md", "docs/recipes/tekton.md", "docs/audit-log.md"} {
		found := slices.ContainsFunc(scripts(t), func(s script) bool {
			return s.page == page && slices.ContainsFunc(strings.Split(s.text, "\n"), func(l string) bool { return len(commands(l)) > 0 })
		})
		if !found {
			t.Errorf("%s: no command was found", page)
		}
	}
}

// started finds where a command of ours begins in a line: at its start, after an
// operator, in $(…), after what runs another command, or after variables.
var started = regexp.MustCompile(`(?:^|[|;&(]|\b(?:if|then|do|exec|time)\s)\s*(?:\$ )?(?:[A-Z_]+=\S*\s+)*signgate\s`)

// commands returns the words of each signgate command in a line, without the
// first.
func commands(line string) [][]string {
	var out [][]string
	for _, at := range started.FindAllStringIndex(line+" ", -1) {
		out = append(out, split(line[min(at[1], len(line)):]))
	}
	return out
}

// split returns the words of a simple shell command, up to a redirection, a
// pipe or a comment.
func split(line string) []string {
	var out []string
	word, quote, in := "", rune(0), false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '"' || r == '\'':
			quote, in = r, true
		case strings.ContainsRune("|>;&#)", r):
			return out
		case r != ' ':
			word, in = word+string(r), true
		case in:
			out, word, in = append(out, word), "", false
		}
	}
	return out
}
