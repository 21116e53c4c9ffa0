package scan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/attesttest"
	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
)

var update = flag.Bool("update", false, "write the golden files")

// describe adds the predicate to what is said of a report.
func describe(b *strings.Builder, name string, p attest.Predicate, err error) {
	attesttest.Describe(b, name, p, err)
	if err == nil {
		fmt.Fprintf(b, "%s\n", p.Body)
	}
}

func TestGood(t *testing.T) {
	forms := map[scan.Form]*strings.Builder{scan.Cosign: {}, scan.InToto: {}}
	for _, f := range attesttest.Vectors(t, "good.txtar") {
		for form, b := range forms {
			p, err := scan.Read(f.Data, form)
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			describe(b, f.Name, p, err)
		}
	}
	attesttest.Golden(t, *update, "good.golden", forms[scan.Cosign].String())
	attesttest.Golden(t, *update, "good-in-toto.golden", forms[scan.InToto].String())
}

func TestBad(t *testing.T) {
	var b strings.Builder
	for _, f := range attesttest.Vectors(t, "bad.txtar") {
		code, outcome := "scan_invalid", fault.Config
		if strings.HasPrefix(f.Name, "failed-") {
			code, outcome = "scan_failed", fault.Refused
		}
		p, err := scan.Read(f.Data, scan.Cosign)
		if fault.CodeOf(err) != code || fault.OutcomeOf(err) != outcome || p.Body != nil {
			t.Errorf("%s: %v, %+v", f.Name, err, p)
		}
		describe(&b, f.Name, p, err)
	}
	attesttest.Golden(t, *update, "bad.golden", b.String())
}

// TestReal: what tools really write is read, or refused for what it is.
func TestReal(t *testing.T) {
	var b strings.Builder
	for _, f := range attesttest.Real(t) {
		p, err := scan.Read(f.Data, scan.Cosign)
		describe(&b, f.Name, p, err)
	}
	attesttest.Golden(t, *update, "real.golden", b.String())
}

// TestSameInSARIF: the SARIF of Trivy counts what its JSON counts.
func TestSameInSARIF(t *testing.T) {
	results := map[string]any{}
	for _, f := range attesttest.Real(t) {
		if !strings.HasPrefix(f.Name, "trivy-0.69.3.") {
			continue
		}
		p, err := scan.Read(f.Data, scan.Cosign)
		var m struct {
			Scanner struct{ Result map[string]any }
		}
		if err == nil {
			err = json.Unmarshal(p.Body, &m)
		}
		if err != nil {
			t.Fatal(f.Name, err)
		}
		for _, v := range m.Scanner.Result["vulnerabilities"].([]any) {
			delete(v.(map[string]any), "location")
		}
		results[f.Name] = m.Scanner.Result
	}
	if json, sarif := results["trivy-0.69.3.json"], results["trivy-0.69.3.sarif"]; json == nil || !reflect.DeepEqual(json, sarif) {
		t.Errorf("%v, and in SARIF %v", json, sarif)
	}
}

// TestTimeIsRead: the gate reads the time of each predicate that says one.
func TestTimeIsRead(t *testing.T) {
	read := 0
	for _, f := range attesttest.All(t) {
		for _, form := range []scan.Form{scan.Cosign, scan.InToto} {
			p, err := scan.Read(f.Data, form)
			if err != nil {
				continue
			}
			at, _ := gate.PredicateTime(p.Type, p.Body)
			if silent := strings.Contains(strings.Join(p.Notes, " "), "maxAge"); silent != at.IsZero() {
				t.Errorf("%s: the time %s, and the notes %q", f.Name, at, p.Notes)
			}
			if !at.IsZero() {
				read++
			}
		}
	}
	if read < 20 {
		t.Errorf("only %d have a time", read)
	}
}

// TestSizes: what is read is bounded, and so is what is made of it.
func TestSizes(t *testing.T) {
	trivy := attesttest.Vectors(t, "good.txtar")[0].Data
	for code, text := range map[string][]byte{
		"":             append(bytes.Clone(trivy), bytes.Repeat([]byte(" "), 1<<20)...),
		"scan_invalid": append(bytes.Clone(trivy), bytes.Repeat([]byte(" "), scan.MaxReport)...),
	} {
		if _, err := scan.Read(text, scan.Cosign); code == "" && err != nil || code != "" && fault.CodeOf(err) != code {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	for what, list := range map[string]string{"deep": strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "crowded": "[" + strings.Repeat("0,", 5<<20) + "0]"} {
		text := bytes.Replace(trivy, []byte("{"), []byte(`{"x":`+list+","), 1)
		if _, err := scan.Read(text, scan.Cosign); fault.CodeOf(err) != "scan_invalid" {
			t.Errorf("a %s report: %v", what, err)
		}
	}
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, `{"VulnerabilityID":"CVE-%d","PkgName":"%s"},`, i, strings.Repeat("x", 10_000))
	}
	text := strings.Replace(string(trivy), `"Vulnerabilities": [`, `"Vulnerabilities": [`+many.String(), 1)
	if _, err := scan.Read([]byte(text), scan.Cosign); fault.CodeOf(err) != "predicate_invalid" {
		t.Errorf("a report of %d bytes: %v", len(text), err)
	}
}

// TestPage: the example of docs/predicates/malware-scan.md is what is made.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/predicates/malware-scan.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	p, err := scan.Read([]byte(`TZ=UTC
rootfs/usr/bin/tool: Unix.Trojan.Mirai-5607483-0 FOUND

----------- SCAN SUMMARY -----------
Known viruses: 8706344
Engine version: 1.4.6
Scanned directories: 31
Scanned files: 412
Infected files: 1
Data scanned: 70.91 MB
Data read: 41.77 MB (ratio 1.70:1)
Time: 155.304 sec (2 m 35 s)
Start Date: 2026:11:22 06:50:06
End Date:   2026:11:22 06:52:41
`), scan.Cosign)
	if err != nil {
		t.Fatal(err)
	}
	want, err := attest.Object([]byte(example))
	if err != nil || string(want) != string(p.Body) {
		t.Errorf("%v: the page has %s, and what is made is %s", err, want, p.Body)
	}
}
