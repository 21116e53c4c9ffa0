package actions_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/signgate/signgate/internal/actions"
)

var lineEnd = regexp.MustCompile(`\r\n|\r|\n`)

// commandIn returns the first line that a runner could take for a command:
// stricter than ActionCommand.cs, which also wants a known name, and blind to
// invisible characters, as its culture rules are.
func commandIn(text string) string {
	for _, line := range lineEnd.Split(text, -1) {
		for _, form := range []string{line, visible(line)} {
			trimmed := strings.TrimLeftFunc(form, unicode.IsSpace)
			if strings.HasPrefix(trimmed, "::") || strings.Contains(form, "##[") {
				return line
			}
		}
	}
	return ""
}

func visible(line string) string {
	return strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Mn) {
			return -1
		}
		return c
	}, line)
}

func TestForeign(t *testing.T) {
	for in, want := range map[string]string{
		"::error::x":                  ": :error::x",
		"  \t::add-mask::x":           "  \t: :add-mask::x",
		"a\n::error::x":               "a\n: :error::x",
		"a\r::error::x":               "a\r: :error::x",
		"a\r\n::error::x\n":           "a\r\n: :error::x\n",
		":::error::x":                 ": ::error::x",
		"\u00a0::error::x":            "\u00a0: :error::x",
		"\u200b::error::x":            "\u200b: :error::x",
		"\ufeff:\u200b:error::x":      "\ufeff:\u200b :error::x",
		"see ##[error]x":              "see ## [error]x",
		"###[group]":                  "### [group]",
		"#\u200b#[error]":             "#\u200b# [error]",
		"##[##[":                      "## [## [",
		"dial tcp [::1]:5000: refuse": "dial tcp [::1]:5000: refuse",
		"std::vector<int>":            "std::vector<int>",
		"# #[a] #":                    "# #[a] #",
		"a : b :: c":                  "a : b :: c",
		"":                            "",
	} {
		got := actions.Foreign(in)
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if again := actions.Foreign(got); again != got {
			t.Errorf("%q changes again to %q", got, again)
		}
	}
}

func FuzzSafeWriter(f *testing.F) {
	for _, seed := range []string{"::error::x", "a\r::stop-commands::t\n", "##[error]", "\u2028::a b=c::d", "#\xc2\xa0#[x]", ":\xe2\x80", " \v\f:\x00:x"} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		var log bytes.Buffer
		w := actions.NewSafeWriter(&log)
		size := int(step%7) + 1
		for rest := text; len(rest) > 0; {
			n := min(size, len(rest))
			if wrote, err := w.Write(rest[:n]); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			rest = rest[n:]
		}
		if line := commandIn(log.String()); line != "" {
			t.Fatalf("%q became %q with command %q", text, log.Bytes(), line)
		}
		if whole := actions.Foreign(string(text)); whole != log.String() {
			t.Fatalf("split writes differ: %q, %q", log.Bytes(), whole)
		}
		if strip(log.String()) != strip(string(text)) {
			t.Fatalf("%q lost something: %q", text, log.Bytes())
		}
	})
}

func strip(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestCommandsStartALine(t *testing.T) {
	r, log, _ := inActions(t, nil)
	r.Log().Write([]byte("partial :"))
	r.Warning("", "w")
	r.Log().Write([]byte(":error::x\n"))
	r.Log().Write([]byte(":"))
	r.Log().Write([]byte(":error::x"))
	r.Notice("", "n")
	want := "partial :\n::warning::w\n:error::x\n: :error::x\n::notice::n\n"
	if log.String() != want {
		t.Errorf("log %q, want %q", log, want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestBrokenLogDoesNotPanic(t *testing.T) {
	r := actions.New(func(k string) string { return map[string]string{"GITHUB_ACTIONS": "true"}[k] }, nil, brokenWriter{})
	r.Mask("a")
	r.Error("a", "b")
	r.Group("x")()
	if _, err := r.Log().Write([]byte("x")); err == nil {
		t.Error("the log's error is lost")
	}
}
