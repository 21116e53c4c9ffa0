package docs_test

import (
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
