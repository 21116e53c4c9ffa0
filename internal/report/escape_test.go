package report

import (
	"strings"
	"testing"
)

// TestClean: what a terminal would act on, or nobody would see, is shown.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"ghcr.io/acme/app:1.4 – ✓ 镜像":                    "ghcr.io/acme/app:1.4 – ✓ 镜像",
		"a\r\nb\tc\u2028d\u0085e":                        "a  b c d e",
		"\x1b[2J\x1b]8;;https://evil.example\x07x\x9b1m": `\u001b[2J\u001b]8;;https://evil.example\u0007x\ufffd1m`,
		"a\u202eb\u2066c\u200bd\ufeffe\u00adf\u00a0g":    `a\u202eb\u2066c\u200bd\ufeffe\u00adf\u00a0g`,
		"\U000e0041\ufe0f\u3164\ue000":                   `\u{e0041}\ufe0f\u3164\ue000`,
		"\u009b31m":                                      `\u009b31m`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestCode: foreign text is one code span, whatever it holds.
func TestCode(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "–",
		" \n":                    "–",
		"a`b":                    "`a\\u0060b`",
		"```\nx":                 "`\\u0060\\u0060\\u0060 x`",
		"a|b":                    "`a\\u007cb`",
		"\\":                     "`\\`",
		"<b>":                    "`<b>`",
		strings.Repeat("é", 500): "`" + strings.Repeat("é", 120) + "… (1000 bytes)`",
	} {
		if got := code(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestProse: plain words of a sentence stay, and the rest is code.
func TestProse(t *testing.T) {
	for in, want := range map[string]string{
		"it has no signature (yet), neither here nor there": "it has no signature (yet), neither here nor there",
		"the tag app:1.4 points to sha256:00, not to it":    "the tag `app:1.4` points to `sha256:00`, not to it",
		"see @user #1 GH-1 www.x.y https://x.y a@b.c.":      "see `@user #1 GH-1 www.x.y https://x.y a@b.c`.",
		"**x** _y_ [z](w) `q` <i>":                          "`**x** _y_ [z](w) \\u0060q\\u0060 <i>`",
		"deadbeef and 1234567 and 12":                       "`deadbeef` and `1234567` and 12",
		":tada: x: - # 1. ...":                              "`:tada`: x: `- # 1`. `...`",
		"(see app/x)":                                       "(see `app/x`)",
	} {
		if got := prose(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestLabel: a label has nothing that Mermaid acts on.
func TestLabel(t *testing.T) {
	got := label("a\"]; click x\n%%{init}%% end --> <b>`#quot;\u202e", 200)
	if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789#; ") != "" {
		t.Error(got)
	}
	if got, want := label("abcdefghijklmnopqrstuvwxyz", 6), "abc#8230;yz"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestShell: words reach a shell as they are, or not at all.
func TestShell(t *testing.T) {
	for _, tc := range []struct {
		words []string
		want  string
	}{
		{[]string{"cosign", "verify", "ghcr.io/acme/app@sha256:00"}, "cosign verify \\\n  ghcr.io/acme/app@sha256:00"},
		{[]string{"x", "it's $(id) `id` ; rm", "y"}, "x 'it'\\''s $(id) `id` ; rm' \\\n  y"},
		{[]string{"x", "a\nb"}, ""},
		{[]string{"x", "a\u202eb"}, ""},
		{[]string{"x", "```"}, ""},
	} {
		got, ok := shell(tc.words...)
		if ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%q: %q, %v; want %q", tc.words, got, ok, tc.want)
		}
	}
}
