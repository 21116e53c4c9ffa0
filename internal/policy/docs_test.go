package policy_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/policy"
)

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentedPolicies: the policies of docs/policy.md load.
func TestDocumentedPolicies(t *testing.T) {
	keys := map[string]string{"keys/kms-26.pub": "a.pub", "keys/hsm-1.pub": "b.pub", "keys/hsm-2.pub": "c.pub", "keys/ci.pub": "d.pub"}
	read := func(path string) ([]byte, error) {
		if keys[path] == "" {
			return nil, errors.New("no such file")
		}
		return readKey(keys[path])
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(docs(t), -1)
	if len(blocks) < 2 {
		t.Fatalf("%d policies", len(blocks))
	}
	for _, b := range blocks {
		if _, err := policy.Load(policy.Source{Name: "docs/policy.md", Text: []byte(b[1]), Read: read, Now: now}); err != nil {
			t.Errorf("%v\n%s", policy.Problems(err), b[1])
		}
	}
}

// TestDocumentedPatterns: what the table says of patterns is so.
func TestDocumentedPatterns(t *testing.T) {
	name := regexp.MustCompile("`([^`]+)`")
	rows := regexp.MustCompile("(?m)^\\| `(ghcr.io[^`]+)` \\| (`.*) \\| (`.*) \\|$").FindAllStringSubmatch(docs(t), -1)
	if len(rows) < 5 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		pattern, wrong := policy.ParsePattern(row[1])
		if wrong != "" {
			t.Errorf("%s: %s", row[1], wrong)
			continue
		}
		for i, want := range []bool{true, false} {
			for _, m := range name.FindAllStringSubmatch(row[2+i], -1) {
				if pattern.Matches(m[1]) != want {
					t.Errorf("%s matches %s: %v", pattern, m[1], !want)
				}
			}
		}
	}
}

// TestDocumentedFields: the page has each field of the format.
func TestDocumentedFields(t *testing.T) {
	text := docs(t)
	for name, s := range policy.Shapes() {
		for _, field := range s.Fields {
			if !strings.Contains(text, "`"+field+"`") && !strings.Contains(text, "{"+field+":") {
				t.Errorf("docs/policy.md lacks %s of %s", field, name)
			}
		}
	}
}
