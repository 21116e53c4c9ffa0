package sbom_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/sbom"
	"github.com/signgate/signgate/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

func archive(t testing.TB, name string) []txtar.File {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil || len(a.Files) == 0 {
		t.Fatal(name, err)
	}
	return a.Files
}

// reals returns the documents in testdata/real by name.
func reals(t testing.TB) (out []txtar.File) {
	t.Helper()
	names, err := filepath.Glob("testdata/real/*[^d]") // no README.md
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, txtar.File{Name: filepath.Base(name), Data: text})
	}
	return out
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
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%s differs (%v), which -update writes:\n%s", path, err, got)
	}
}

// describe returns what is found in a document, for a golden file.
func describe(name string, p attest.Predicate, err error) string {
	if err != nil {
		return fmt.Sprintf("-- %s --\n%s: %s\n", name, fault.CodeOf(err), err)
	}
	return fmt.Sprintf("-- %s --\ntype %s\ndigests %q\nnames %q\nnotes %q\n", name, p.Type, p.Digests, p.Names, p.Notes)
}

func TestGood(t *testing.T) {
	var b strings.Builder
	for _, f := range archive(t, "good.txtar") {
		p, err := sbom.Read(f.Data)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		b.WriteString(describe(f.Name, p, err))
	}
	golden(t, "good.golden", b.String())
}

func TestBad(t *testing.T) {
	var b strings.Builder
	for _, f := range archive(t, "bad.txtar") {
		p, err := sbom.Read(f.Data)
		if fault.OutcomeOf(err) != fault.Config || p.Body != nil {
			t.Errorf("%s: %v, %+v", f.Name, err, p)
		}
		b.WriteString(describe(f.Name, p, err))
	}
	golden(t, "bad.golden", b.String())
}

// TestReal: what tools really write is read, or refused for what it is.
func TestReal(t *testing.T) {
	var b strings.Builder
	for _, f := range reals(t) {
		p, err := sbom.Read(f.Data)
		b.WriteString(describe(f.Name, p, err))
	}
	golden(t, "real.golden", b.String())
}

// TestBody: the predicate is the document, with its numbers and its order.
func TestBody(t *testing.T) {
	p, err := sbom.Read([]byte("{ \"version\" : 1,\n\"bomFormat\":\"CycloneDX\", \"specVersion\":\"1.6\", \"x\":{\"b\":1.50, \"a\":1e400, \"c\":12345678901234567890} }\n"))
	want := `{"version":1,"bomFormat":"CycloneDX","specVersion":"1.6","x":{"b":1.50,"a":1e400,"c":12345678901234567890}}`
	if err != nil || string(p.Body) != want {
		t.Errorf("%v: %s", err, p.Body)
	}
}

// TestSizes: text is bounded before it is parsed, and the predicate after.
func TestSizes(t *testing.T) {
	good := archive(t, "good.txtar")[0].Data
	for code, n := range map[string]int{"": attest.MaxPredicate, "sbom_invalid": sbom.MaxText} {
		_, err := sbom.Read(append(bytes.Clone(good), bytes.Repeat([]byte(" "), n)...))
		if code == "" && err != nil || code != "" && fault.CodeOf(err) != code {
			t.Errorf("%d spaces: %v", n, err)
		}
	}
	large := bytes.Replace(good, []byte("{"), []byte(`{"x":"`+strings.Repeat("x", attest.MaxPredicate)+`",`), 1)
	if _, err := sbom.Read(large); fault.CodeOf(err) != "predicate_invalid" {
		t.Errorf("a large predicate: %v", err)
	}
	deep := bytes.Replace(good, []byte("{"), []byte(`{"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,`), 1)
	if _, err := sbom.Read(deep); fault.CodeOf(err) != "sbom_invalid" {
		t.Errorf("a deep document: %v", err)
	}
}
