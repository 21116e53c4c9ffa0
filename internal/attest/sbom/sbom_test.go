package sbom_test

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/sbom"
	"github.com/signgate/signgate/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGood(t *testing.T) {
	var b strings.Builder
	for _, f := range attesttest.Vectors(t, "good.txtar") {
		p, err := sbom.Read(f.Data)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		attesttest.Describe(&b, f.Name, p, err)
	}
	attesttest.Golden(t, *update, "good.golden", b.String())
}

func TestBad(t *testing.T) {
	var b strings.Builder
	for _, f := range attesttest.Vectors(t, "bad.txtar") {
		p, err := sbom.Read(f.Data)
		if fault.OutcomeOf(err) != fault.Config || p.Body != nil {
			t.Errorf("%s: %v, %+v", f.Name, err, p)
		}
		attesttest.Describe(&b, f.Name, p, err)
	}
	attesttest.Golden(t, *update, "bad.golden", b.String())
}

// TestReal: what tools really write is read, or refused for what it is.
func TestReal(t *testing.T) {
	var b strings.Builder
	for _, f := range attesttest.Real(t) {
		p, err := sbom.Read(f.Data)
		attesttest.Describe(&b, f.Name, p, err)
	}
	attesttest.Golden(t, *update, "real.golden", b.String())
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
	good := attesttest.Vectors(t, "good.txtar")[0].Data
	for code, n := range map[string]int{"": attest.MaxPredicate + 1, "sbom_invalid": sbom.MaxText} {
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
