package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// summary is what the runner gets.
func summary(r *report.Report) string {
	var b strings.Builder
	for _, s := range r.Summary() {
		if s = strings.TrimRight(s, "\r\n"); s != "" {
			b.WriteString(s + "\n\n")
		}
	}
	return b.String()
}

func fixtures() map[string]*report.Report {
	broken := begun("sign")
	broken.End(fault.Config, fault.Configf("input_unknown", "did you mean trusted-keys?", "sign has no input %q", "trusted_key"))
	dry := begun("sign")
	dry.DryRun = true
	s := report.NewSubject(image.Subject{Repository: "ghcr.io/acme/app", Digest: digest(1), Tags: []string{"1.4.2"}})
	s.Signed = 2
	s.Pass("dry-run", "signed and verified locally, not written")
	dry.Subjects = append(dry.Subjects, s)
	return map[string]*report.Report{
		"passed": passedRelease(), "refused": refusedRelease(), "hostile": hostileNames(), "configuration": broken, "dry-run": end(dry), "stored": storedSignatures(), "warned": onlyWarned(), "undecided": halfDecided(), "many": many(130, 40, 10),
	}
}

// TestGoldens compares what each renderer makes of the fixtures. test/summary
// shows the Markdown in a browser.
func TestGoldens(t *testing.T) {
	for name, r := range fixtures() {
		compare(t, "testdata/"+name+".md", summary(r))
		if name == "many" {
			continue // half a megabyte of lines of one kind
		}
		var text, sarif bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		if err := r.SARIF(&sarif); err != nil {
			t.Fatal(err)
		}
		compare(t, "testdata/"+name+".txt", text.String()+"\nannotations:\n"+strings.Join(r.Annotations(), "\n")+"\n")
		compare(t, "testdata/"+name+".sarif", sarif.String())
	}
}

// many is a run over n images of five manifests, of which one in every fails with
// a text of a size.
func many(n, size, every int) *report.Report {
	r := begun("verify")
	r.Trust = trustPolicy()
	text := strings.Repeat("x`|<\u202e> ", size/8+1)[:size]
	for i := range n {
		for _, s := range index(fmt.Sprintf("ghcr.io/acme/app-%d", i), i+10, []string{"1"}, "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x") {
			if i%every == 3%every {
				r.Subjects = append(r.Subjects, refuses(s, "ghcr.io/acme/*", gate.Finding{Outcome: fault.Refused, Code: "unsigned", Check: "release", Fact: text, Next: text}, gate.Ignored{Code: "key_other", Why: text}))
			} else {
				r.Subjects = append(r.Subjects, passes(s, "ghcr.io/acme/*", []envelope.Key{kms}, provenance))
			}
		}
	}
	return end(r)
}

// TestSummaryOfMany: the summary of a huge run stays far below what the runner
// takes, says what it leaves out, and shows first what failed.
func TestSummaryOfMany(t *testing.T) {
	for _, size := range []int{40, 1 << 20} {
		images := 1000
		if size > 40 {
			images = 100 // the same text is in five hundred places
		}
		text := summary(many(images, size, 10))
		if len(text) > 1<<19 {
			t.Errorf("%d images with texts of %d bytes: %d bytes", images, size, len(text))
		}
		for _, want := range []string{"see report.json", fmt.Sprintf("of %d images did not pass", images), "more images, passed", "#### ❌ `ghcr.io/acme/app-3:1`"} {
			if !strings.Contains(text, want) {
				t.Errorf("%d images: the summary lacks %q", images, want)
			}
		}
		whole(t, text)
	}
}

// TestSummaryAtItsBounds: with every list longer than is shown, and every text
// longer than its bound, the summary still fits.
func TestSummaryAtItsBounds(t *testing.T) {
	r := begun("verify")
	long := strings.Repeat("\U000e0041`|\x01", 300)
	var keys []envelope.Key
	for i := range 20 {
		keys = append(keys, envelope.Key{Name: fmt.Sprint(i, long), Fingerprint: digest(i)})
		r.Keys = append(r.Keys, report.Key{ID: long, Type: "P-256", Fingerprint: digest(i), PublicKey: pem})
		r.Trust = append(r.Trust, report.Trust{Source: long, SHA256: long, Fingerprints: []string{long, long, long, long, long, long, long, long}})
		r.Warnings = append(r.Warnings, fmt.Sprint(i, long))
	}
	for i := range 120 {
		platforms := 2
		if i < 20 {
			platforms = 30
		}
		for j := range platforms {
			s := image.Subject{Repository: "ghcr.io/acme/app", Digest: digest(i), Tags: []string{fmt.Sprint(i, long)}}
			if j > 0 {
				s.Platform, s.Index = fmt.Sprint(j, long), digest(i)
			}
			out := passes(s, fmt.Sprint(i, long), keys, fmt.Sprint(i, long), fmt.Sprint(j, long))
			out.RequestIDs, out.Promoted = []string{long, long, long, long, long}, []string{long, long}
			out.Ignored = []report.Ignored{{Code: "x", Why: long, Store: long, Manifest: long}}
			if i%2 == 0 {
				out.Add(long, gate.Verdict{Rule: long, Findings: []gate.Finding{{Outcome: fault.Refused, Code: "unsigned", Check: fmt.Sprint(j, long), Fact: long, Next: long, Tag: long}}})
			}
			r.Subjects = append(r.Subjects, out)
		}
	}
	text := summary(end(r))
	t.Logf("%d bytes", len(text))
	if len(text) > 1<<20-1<<14 {
		t.Errorf("%d bytes", len(text))
	}
	whole(t, text)
}

// whole fails the test when a fold or a fence is cut.
func whole(t *testing.T, text string) {
	t.Helper()
	if a, b := strings.Count(text, "<details>"), strings.Count(text, "</details>"); a != b {
		t.Errorf("%d folds begin and %d end", a, b)
	}
	if strings.Count("\n"+text, "\n```")%2 != 0 {
		t.Error("a fence is open")
	}
}
