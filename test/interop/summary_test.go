package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The lines that the job summary offers for copying verify what was signed and
// attested, by signgate and by cosign 3, with the key that the summary shows.
func TestSummaryCommands(t *testing.T) {
	reg, k, dir := startReferrers(t), newP256(t), t.TempDir()
	index, _ := reg.pushIndex(t, false, "1.0")
	p := predicates[2]
	files := map[string]string{"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output"}
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=" + dir}
	for name, file := range files {
		env = append(env, name+"="+filepath.Join(dir, file))
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"sign", "--sbom-path", predicateFile(t, p.text)}
	reg.signgateWith(t, append(env, k.env...), passed, slices.Concat(args, k.flags, index.references())...)
	summary, err := os.ReadFile(filepath.Join(dir, "summary.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(summary)
	public := regexp.MustCompile("(?s)```\n(-----BEGIN PUBLIC KEY-----.*?)```").FindSubmatch(summary)
	if script == nil || public == nil {
		t.Fatalf("the summary has no commands or no key:\n%s", summary)
	}
	if err := os.WriteFile(filepath.Join(dir, "signgate.pub"), public[1], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"signgate verify ", "cosign verify ", "cosign verify-attestation "} {
		if !strings.Contains(string(script[1]), line) {
			t.Errorf("there is no %q in\n%s", line, script[1])
		}
	}
	for name, program := range map[string]string{"cosign": programs.cosign3, "signgate": programs.signgate} {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, append(slices.Clone(reg.env), "PATH="+dir+":"+os.Getenv("PATH")), "bash", "-euc", "cd "+dir+"\n"+string(script[1]))
}
