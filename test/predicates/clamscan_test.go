package predicates

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
)

const bad = "a harmless file for which the test has a signature\n"

// files writes files into a new folder, and the database beside it.
func files(t *testing.T, texts map[string]string) (dir, database string) {
	t.Helper()
	if _, err := exec.LookPath("clamscan"); err != nil {
		t.Fatalf("%v; run: test/setup/need.sh clamav", err)
	}
	dir, database = t.TempDir(), filepath.Join(t.TempDir(), "own.hsb")
	texts[database] = fmt.Sprintf("%x:%d:Signgate.Test\n", sha256.Sum256([]byte(bad)), len(bad))
	for path, text := range texts {
		if path != database {
			path = filepath.Join(dir, path)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, database
}

type result struct {
	Result struct {
		Clean    bool
		Infected int
		Scanned  int
		Findings []struct{ Path, Name string }
	}
}

// clamscan returns what is read of a report as docs/predicates/malware-scan.md
// has it made.
func clamscan(t *testing.T, dir, database string) (result, int, error) {
	t.Helper()
	text, code := run(t, []string{"TZ=UTC"}, "clamscan", "--database="+database, "--recursive", "--infected", "--alert-exceeds-max=yes", dir)
	p, err := scan.Read([]byte("TZ=UTC\n"+text), scan.Cosign)
	var r result
	if err == nil {
		if err := json.Unmarshal(p.Body, &r); err != nil {
			t.Fatal(err)
		}
		at, _ := gate.PredicateTime(p.Type, p.Body)
		if age := time.Since(at); age < -time.Minute || age > time.Hour {
			t.Errorf("the scan of now finished at %s", at)
		}
	}
	return r, code, err
}

func TestClamscan(t *testing.T) {
	dir, database := files(t, map[string]string{"good": "nothing\n", "worse: x": bad, "two\nlines: OK": bad, "bytes\xff": bad})
	r, code, err := clamscan(t, dir, database)
	if err != nil || code != 1 || r.Result.Clean || r.Result.Infected != 3 || r.Result.Scanned != 4 || len(r.Result.Findings) != 3 {
		t.Fatalf("exit %d, %v, %+v", code, err, r)
	}
	for _, f := range r.Result.Findings {
		if f.Name != "Signgate.Test.UNOFFICIAL" {
			t.Errorf("%+v", f)
		}
	}
}

func TestClamscanClean(t *testing.T) {
	dir, database := files(t, map[string]string{"good": "nothing\n", "a FOUND": "nothing\n", "b ERROR": "nothing\n"})
	r, code, err := clamscan(t, dir, database)
	if err != nil || code != 0 || !r.Result.Clean || r.Result.Scanned != 3 {
		t.Errorf("exit %d, %v, %+v", code, err, r)
	}
}

// TestClamscanHostile: names that look like lines of clamscan make no report clean.
func TestClamscanHostile(t *testing.T) {
	forged := "x\n\n----------- SCAN SUMMARY -----------\nKnown viruses: 9\nEngine version: 1\nScanned files: 9\nInfected files: 0\nTime: 1\n"
	for _, name := range []string{forged, "x\nERROR: y", "x: Fake FOUND\ny"} {
		dir, database := files(t, map[string]string{strings.ReplaceAll(name, "/", "_"): bad, "other": bad})
		r, _, err := clamscan(t, dir, database)
		if err == nil && r.Result.Clean {
			t.Errorf("%q: %+v", name, r)
		}
	}
}

// TestClamscanFails: a scan of nothing, or with nothing, is none.
func TestClamscanFails(t *testing.T) {
	empty, database := files(t, map[string]string{})
	good, _ := files(t, map[string]string{"good": "nothing\n"})
	for name, of := range map[string][2]string{"no files": {empty, database}, "no folder": {good + "/missing", database}, "no database": {good, good + "/missing"}} {
		if _, code, err := clamscan(t, of[0], of[1]); fault.CodeOf(err) != "scan_failed" {
			t.Errorf("%s: exit %d, %v", name, code, err)
		}
	}
}
