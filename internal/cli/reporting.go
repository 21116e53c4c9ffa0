package cli

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// The files of output-dir.
const (
	reportName = "report.json"
	sarifName  = "report.sarif"
)

// writeReports writes the files of the report into dir.
func (r *run) writeReports(dir string) error {
	return errors.Join(r.writeReport(dir, reportName, r.report.JSON), r.writeReport(dir, sarifName, r.report.SARIF))
}

// writeReport replaces a file in dir.
func (r *run) writeReport(dir, name string, render func(io.Writer) error) error {
	var text bytes.Buffer
	err := render(&text)
	if err == nil {
		err = replaceFile(filepath.Join(dir, name), text.Bytes())
	}
	r.runner.Chown(filepath.Join(dir, name))
	return err
}

// reportPath is the path of a file in the output folder for later steps, and ""
// without a folder.
func (r *run) reportPath(dir, name string) string {
	if dir == "" {
		return ""
	}
	return r.runner.RelativePath(filepath.Join(dir, name))
}

// print writes the report to standard output in the form that was asked for.
func (r *run) print(output string) error {
	switch output {
	case "json":
		return r.report.JSON(r.process.Stdout)
	case "sarif":
		return r.report.SARIF(r.process.Stdout)
	}
	return r.report.Text(r.stdout())
}

func checkReportOutput(output string) error {
	if output == "sarif" {
		return nil
	}
	if checkOutput(output) != nil {
		return badInput("output", output, "text, json or sarif")
	}
	return nil
}

// ruleOfReport is what the report says of the rule that decided.
func (r *run) ruleOfReport(rule policy.Rule) *report.Rule {
	out := &report.Rule{Name: rule.Name}
	if r.policy != nil {
		out.Policy, out.SHA256 = r.policy.Name, r.policy.SHA256
	}
	return out
}

// counted notes the keys of the evidence that counted, for a verb that has not
// described keys of its own.
func (r *run) counted(v gate.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range [][]envelope.Verified{v.Signatures, v.Attested} {
		for _, e := range list {
			r.evidence[e.Key.Fingerprint] = e.Key
		}
	}
}

// ended notes the end of the run, and the keys whose evidence counted, in the
// order of the subjects.
func (r *run) ended() {
	r.report.Finish(time.Now())
	if r.report.Command != "verify" {
		return
	}
	for _, s := range r.report.Subjects {
		for _, sig := range s.Signatures {
			r.describeEvidence(sig.Fingerprint)
		}
		for _, a := range s.Attestations {
			r.describeEvidence(a.Fingerprint)
		}
	}
}

func (r *run) describeEvidence(fingerprint string) {
	key, found := r.evidence[fingerprint]
	if !found {
		return
	}
	delete(r.evidence, fingerprint)
	der, err := signer.MarshalPublicKey(key.Public)
	if err != nil {
		return // it has verified; people can do without its text
	}
	r.report.Keys = append(r.report.Keys, report.Key{ID: key.Name, Type: signer.KeyType(key.Public), Fingerprint: fingerprint,
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
}

// clocked runs a step for a subject and notes how long it took.
func clocked(s *report.Subject, step string, f func() error) error {
	began := time.Now()
	defer func() { s.Took(step, time.Since(began)) }()
	return f()
}
