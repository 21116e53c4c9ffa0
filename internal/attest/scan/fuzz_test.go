package scan_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// FuzzRead: a report is refused with a reason, or both forms count the same
// findings, and what is called clean has none.
func FuzzRead(f *testing.F) {
	for _, file := range append(attesttest.Vectors(f, "bad.txtar"), attesttest.All(f)...) {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := scan.Read(text, scan.Cosign)
		other, otherErr := scan.Read(text, scan.InToto)
		if fault.CodeOf(err) != fault.CodeOf(otherErr) {
			t.Fatalf("%v, and %v", err, otherErr)
		}
		if err != nil {
			if code := fault.CodeOf(err); code != "scan_invalid" && code != "scan_failed" && code != "predicate_invalid" || p.Body != nil {
				t.Fatalf("%v, %+v", err, p)
			}
			return
		}
		for _, d := range p.Digests {
			if image.CheckDigest(d) != nil {
				t.Errorf("the digest %q", d)
			}
		}
		if p.Type == attest.Malware {
			checkMalware(t, text, p)
			return
		}
		checkCounts(t, p, other)
	})
}

func checkMalware(t *testing.T, text []byte, p attest.Predicate) {
	var m struct {
		Result struct {
			Clean    bool
			Infected int
			Scanned  int
			Findings []any
		}
	}
	if err := json.Unmarshal(p.Body, &m); err != nil {
		t.Fatal(err)
	}
	r := m.Result
	if r.Clean != (r.Infected == 0) || r.Clean != (len(r.Findings) == 0) || r.Scanned == 0 || r.Clean && bytes.Contains(text, []byte(" FOUND\n\n")) {
		t.Errorf("%q: %+v", text, r)
	}
}

func checkCounts(t *testing.T, p, other attest.Predicate) {
	var m struct {
		Scanner struct {
			Result struct {
				Critical, High, Medium, Low, Negligible, Unknown, Total int
				Vulnerabilities                                         []any
			}
		}
	}
	var list struct{ Scanner struct{ Result []any } }
	if err := json.Unmarshal(p.Body, &m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(other.Body, &list); err != nil {
		t.Fatal(err)
	}
	r := m.Scanner.Result
	if sum := r.Critical + r.High + r.Medium + r.Low + r.Negligible + r.Unknown; sum != r.Total || r.Total != len(r.Vulnerabilities) || r.Total != len(list.Scanner.Result) {
		t.Errorf("%+v, and %d in the other form", r, len(list.Scanner.Result))
	}
}
