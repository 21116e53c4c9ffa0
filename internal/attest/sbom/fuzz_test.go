package sbom_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/sbom"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// FuzzRead: a document is refused with a reason, or its predicate is the same
// document, which is read in the same way again.
func FuzzRead(f *testing.F) {
	for _, file := range append(attesttest.Vectors(f, "bad.txtar"), attesttest.All(f)...) {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := sbom.Read(text)
		if err != nil {
			if fault.OutcomeOf(err) != fault.Config || p.Body != nil {
				t.Fatalf("%v, %+v", err, p)
			}
			return
		}
		if p.Type != attest.SPDX && p.Type != attest.CycloneDX || !p.Body.IsValid() || p.Body.Kind() != '{' {
			t.Errorf("%+v", p)
		}
		for _, d := range p.Digests {
			if image.CheckDigest(d) != nil {
				t.Errorf("the digest %q", d)
			}
		}
		again, err := sbom.Read(p.Body)
		if err != nil || string(again.Body) != string(p.Body) || len(again.Digests) != len(p.Digests) {
			t.Errorf("%v: %s and %s", err, p.Body, again.Body)
		}
		if canonical(t, text) != canonical(t, p.Body) {
			t.Errorf("%s is not %s", p.Body, text)
		}
	})
}

func canonical(t *testing.T, text []byte) string {
	v := jsontext.Value(bytes.TrimPrefix(text, []byte("\uFEFF"))).Clone()
	if err := v.Compact(); err != nil {
		t.Fatal(err)
	}
	return string(v)
}
