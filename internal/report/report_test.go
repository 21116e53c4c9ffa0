package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

func refused(repository string) *report.Report {
	s := image.Subject{Repository: repository, Digest: "sha256:" + strings.Repeat("1", 64), Tags: []string{"1.4"}}
	r := &report.Report{Command: "verify", Proof: report.ProofTrusted, Subjects: []report.Subject{report.NewSubject(s)}}
	r.Subjects[0].Decide(gate.Verdict{Subject: s, Findings: []gate.Finding{{Outcome: fault.Refused, Code: "unsigned", Check: "trusted-keys", Tag: "1.4", Fact: "it has no signature", Next: "sign it"}}})
	r.End(fault.Refused, nil)
	return r
}

// TestTextIsOneLineEach: foreign text cannot forge lines or move the cursor.
func TestTextIsOneLineEach(t *testing.T) {
	var b bytes.Buffer
	if err := refused("x\n✓ forged\x1b[2J\u2028y").Text(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\n✓") || strings.ContainsAny(b.String(), "\x1b\u2028") {
		t.Errorf("%q", b.String())
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := refused("ghcr.io/acme/app").Text(&b); err != nil {
		t.Fatal(err)
	}
	want := "✗ ghcr.io/acme/app@sha256:" + strings.Repeat("1", 64) + " [1.4]\n" +
		"    refused unsigned: trusted-keys for the tag 1.4: it has no signature; sign it\n" +
		"verify: REFUSED (exit code 1)\n"
	if b.String() != want {
		t.Errorf("%s; want %s", b.String(), want)
	}
}

// TestJSONIsNoCommand: text of a registry stays text, also for the runner.
func TestJSONIsNoCommand(t *testing.T) {
	var b bytes.Buffer
	if err := refused("##[error]\n::error::x").JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Subjects[0].Repository != "##[error]\n::error::x" {
		t.Errorf("%+v, %v", back.Subjects, err)
	}
	if strings.Contains(b.String(), "##[") || strings.Contains(b.String(), "\n::") {
		t.Errorf("a command in:\n%s", b.String())
	}
}

// TestVerdictSentence: the report says which of two things it proved.
func TestVerdictSentence(t *testing.T) {
	for proof, want := range map[string]string{report.ProofStored: "no trusted keys were given", report.ProofTrusted: "the required trusted keys have signed"} {
		r := &report.Report{Command: "sign", Proof: proof}
		r.End(fault.Passed, nil)
		var b bytes.Buffer
		if err := r.Text(&b); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%s: %q, %v", proof, b.String(), err)
		}
	}
}
