package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// now is the time of these tests.
var now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// readKey serves testdata/keys, and what is better not kept in files.
func readKey(path string) ([]byte, error) {
	switch path {
	case "private.pem":
		return []byte("-----BEGIN EC " + "PRIVATE KEY-----\nAAAA\n-----END EC " + "PRIVATE KEY-----\n"), nil
	case "certificate.pem":
		return []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil
	case "text.pub":
		return []byte("hello\n"), nil
	case "empty.pub":
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join("testdata/keys", filepath.Base(path)))
	if err != nil {
		return nil, errors.New("no such file")
	}
	return text, nil
}

func load(name string, text []byte) (*policy.Policy, error) {
	return policy.Load(policy.Source{Name: name, Text: text, Read: readKey, Now: now})
}

func archive(t testing.TB, name string) []txtar.File {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil || len(a.Files) == 0 {
		t.Fatal(name, err)
	}
	return a.Files
}

// golden compares with a file in testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s differs (%v); got:\n%s", name, err, got)
	}
}

// TestBad: every mistake is told, once, in the order of the file, with its fix.
func TestBad(t *testing.T) {
	var out strings.Builder
	for _, f := range archive(t, "bad.txtar") {
		p, err := load(f.Name, f.Data)
		if err == nil || p != nil {
			t.Errorf("%s loads", f.Name)
			continue
		}
		problems := policy.Problems(err)
		if fault.CodeOf(err) != "policy_invalid" || fault.OutcomeOf(err) != fault.Config || len(problems) == 0 {
			t.Errorf("%s: %v", f.Name, err)
		}
		fmt.Fprintf(&out, "-- %s --\n", f.Name)
		seen := map[string]bool{}
		for _, p := range problems {
			if seen[p.String()] || strings.ContainsAny(p.String(), "\n\r\x00") || p.Fix == "" {
				t.Errorf("%s: %q", f.Name, p)
			}
			seen[p.String()] = true
			fmt.Fprintln(&out, p)
		}
	}
	golden(t, "bad.golden", out.String())
}

const minimal = "version: 1\nkeys: {a: {pem: a.pub}}\nrules: [{match: [ghcr.io/acme/**], require: [{keys: [a]}]}]\n"

// TestBadBytes has the files that a text archive cannot hold.
func TestBadBytes(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"too large":       {minimal + "#" + strings.Repeat("x", policy.MaxSize), "1:1: the file is larger than 1048576 bytes"},
		"not UTF-8":       {minimal + "# \xff", "4:3: the file is not UTF-8"},
		"UTF-16":          {"\xff\xfev\x00", "1:1: the file is not UTF-8"},
		"a control":       {minimal + "# \x07\n", "this is no YAML"},
		"a NUL":           {minimal + "\x00", "this is no YAML"},
		"nesting, flow":   {strings.Repeat("[", 100_000), "this is no YAML"},
		"nesting, block":  {strings.Repeat("- ", 100_000), "this is no YAML"},
		"nesting, closed": {strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "the policy is a list"},
		"a bomb": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nversion: *c\n",
			"anchors and aliases are not read"},
		"many problems": {strings.Repeat("- x\n", 10) + "? [y]\n", "this is no YAML"},
		"many patterns": {"version: 1\nkeys: {a: {pem: a.pub}}\nrules:\n" + many(501, "- {match: [ghcr.io/acme/*a%d/*/*/*/*/*/*], require: [{keys: [a]}]}\n"), "more than 500 patterns"},
		"many keys":     {"version: 1\nkeys:\n" + many(201, "  k%d: {pem: a.pub}\n") + "rules: [{match: [ghcr.io/acme/**], require: [{keys: [k1]}]}]", "more than 200 keys"},
		"many unknown":  {minimal + many(5000, "x%d: 1\n"), "there is no field"},
	} {
		start := time.Now()
		_, err := load("policy.yaml", []byte(tc.text))
		if err == nil || !strings.Contains(policy.Problems(err)[0].String(), tc.want) {
			t.Errorf("%s: %v; want %s", name, err, tc.want)
		}
		if n := len(policy.Problems(err)); n > 100 {
			t.Errorf("%s: %d problems", name, n)
		}
		if d := time.Since(start); d > 60*time.Second {
			t.Errorf("%s: it took %s", name, d)
		}
	}
}

func many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	return b.String()
}

// TestNoFiles: a policy whose reader may not read files has inline keys alone.
func TestNoFiles(t *testing.T) {
	_, err := policy.Load(policy.Source{Name: "p", Text: []byte(minimal), Now: now})
	if err == nil || !strings.Contains(err.Error(), "may not name files") {
		t.Error(err)
	}
}

// TestFirstProblem: the error has the first and says how many there are.
func TestFirstProblem(t *testing.T) {
	_, err := load("p.yaml", []byte("version: 2\nkeys: {}\nrules: []\n"))
	if err == nil || !strings.Contains(err.Error(), "the policy p.yaml:1:10: ") || !strings.Contains(err.Error(), "and 2 more") {
		t.Error(err)
	}
	if policy.Problems(nil) != nil || policy.Problems(errors.New("x")) != nil {
		t.Error("problems of another error")
	}
}
