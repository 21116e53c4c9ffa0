package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/audit"
)

// TestAuditMembers compares the members of docs/audit-log.md with those of a
// line, both ways.
func TestAuditMembers(t *testing.T) {
	page := read(t, "docs/audit-log.md")
	_, table, _ := strings.Cut(page, "## A line\n")
	table, _, _ = strings.Cut(table, "\n\nA line is JSON")
	documented := map[string]bool{"hash": true}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.+?) \\|").FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			documented[m[1]] = true
		}
	}
	for _, name := range append(members(audit.Entry{}), "hash") {
		if !documented[name] {
			t.Errorf("docs/audit-log.md has no row for %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/audit-log.md has a row for %s, which is no member", name)
	}
	for _, name := range append(members(audit.Subject{}), members(audit.Key{})...) {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("docs/audit-log.md does not name %s", name)
		}
	}
}

// TestRunbook runs the block of docs/runbook-leaked-key.md that reads the audit
// log, on a log of two keys.
func TestRunbook(t *testing.T) {
	for _, tool := range []string{"sh", "jq", "cut", "sort"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	program, err := signgate()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := audit.Open(t.Context(), filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	entry := func(key, request string) audit.Entry {
		return audit.Entry{Kind: audit.Signature, Key: &audit.Key{ID: key, Fingerprint: "sha256:" + strings.Repeat(key, 64)}, RequestID: request, Subject: &audit.Subject{Repository: "ghcr.io/acme/app", Digest: "sha256:" + strings.Repeat("4", 64)}}
	}
	head, err := log.Append(t.Context(), entry("a", "one"), entry("b", "other"), entry("a", "two"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fences(t, "sh") {
		if f.page != "docs/runbook-leaked-key.md" || !strings.Contains(f.text, "audit check") {
			continue
		}
		text := regexp.MustCompile(`--head [0-9a-f]{64}`).ReplaceAllString("set -e\n"+f.text, "--head "+head)
		text = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(text, "sha256:"+strings.Repeat("a", 64))
		cmd := exec.Command("sh", "-c", text+"cat ours.ids")
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "\none\ntwo\n") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Error("the block was not found")
}
