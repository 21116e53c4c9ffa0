// Package attesttest has what the tests of the readers of documents share: their
// vectors, the documents of real tools, and golden files. All are below testdata
// in the folder of the test.
package attesttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
)

// Vectors returns the documents of a txtar archive.
func Vectors(t testing.TB, name string) []txtar.File {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil || len(a.Files) == 0 {
		t.Fatal(name, err)
	}
	return a.Files
}

// Real returns the documents in testdata/real, where a README.md has their origins.
func Real(t testing.TB) (out []txtar.File) {
	t.Helper()
	names, err := filepath.Glob("testdata/real/*")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name = filepath.Base(name); name != "README.md" {
			out = append(out, txtar.File{Name: name, Data: text})
		}
	}
	return out
}

// All returns the good vectors and the documents of real tools.
func All(t testing.TB) []txtar.File {
	t.Helper()
	return append(Vectors(t, "good.txtar"), Real(t)...)
}

// Golden compares with a file in testdata, or writes it.
func Golden(t testing.TB, update bool, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%s differs (%v), which -update writes:\n%s", path, err, got)
	}
}

// Describe returns what is said of a document, for a golden file.
func Describe(b *strings.Builder, name string, p attest.Predicate, err error) {
	if err != nil {
		fmt.Fprintf(b, "-- %s --\n%s: %s\n", name, fault.CodeOf(err), err)
		return
	}
	fmt.Fprintf(b, "-- %s --\ntype %s\ndigests %q\nnames %q\nnotes %q\n", name, p.Type, p.Digests, p.Names, p.Notes)
}
