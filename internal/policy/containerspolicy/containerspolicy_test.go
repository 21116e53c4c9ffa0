package containerspolicy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/policy/containerspolicy"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func load(t *testing.T, f txtar.File) *policy.Policy {
	t.Helper()
	p, err := policy.Load(policy.Source{Name: f.Name, Text: f.Data, Now: now, Read: func(path string) ([]byte, error) {
		return os.ReadFile(filepath.Join("../testdata", path))
	}})
	if err != nil {
		t.Fatal(policy.Problems(err))
	}
	return p
}

// TestRender: what each policy becomes, what is dropped, and what to know.
func TestRender(t *testing.T) {
	cases, err := txtar.ParseFile("testdata/cases.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range cases.Files {
		p := load(t, f)
		e, err := containerspolicy.Render(p, now)
		if err != nil || !json.Valid(e.JSON) {
			t.Fatalf("%s: %v\n%s", f.Name, err, e.JSON)
		}
		for range 5 { // nothing depends on the order of maps
			if again, err := containerspolicy.Render(p, now); err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
				t.Errorf("%s: it differs the second time: %v", f.Name, err)
			}
		}
		fmt.Fprintf(&out, "-- %s --\n", f.Name)
		for _, d := range e.Dropped {
			fmt.Fprintf(&out, "dropped: %s\n", d)
		}
		for _, n := range e.Notes {
			fmt.Fprintf(&out, "note: %s\n", n)
		}
		if !e.Until.IsZero() {
			fmt.Fprintf(&out, "until: %s\n", e.Until.Format(time.RFC3339))
		}
		out.Write(e.JSON)
	}
	if *update {
		if err := os.WriteFile("testdata/cases.golden", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile("testdata/cases.golden"); err != nil || string(want) != out.String() {
		t.Errorf("cases.golden differs (%v); got:\n%s", err, out.String())
	}
}

// TestUnusableKeys: a key that containers/image cannot load would make it refuse
// those beside it, so it is left out.
func TestUnusableKeys(t *testing.T) {
	p := load(t, txtar.File{Name: "p", Data: []byte("version: 1\nkeys: {a: {pem: keys/a.pub}}\nrules: [{match: [ghcr.io/acme/app], require: [{keys: [a]}]}]\n")})
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), make([]byte, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	quantum, err := policy.KeyOf("quantum", private.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.Rules[0].Require[0].Keys = append(p.Rules[0].Require[0].Keys, quantum)
	e, err := containerspolicy.Render(p, now)
	if err != nil || strings.Contains(string(e.JSON), "keyDatas") || !strings.Contains(fmt.Sprint(e.Notes), "does not verify ML-DSA-65") {
		t.Errorf("%v %s %v", err, e.JSON, e.Notes)
	}
	p.Rules[0].Require[0].Min = 2 // both, and one of them cannot be asked for
	if e, err = containerspolicy.Render(p, now); err != nil || strings.Contains(string(e.JSON), "sigstoreSigned") {
		t.Errorf("%v %s", err, e.JSON)
	}
}
