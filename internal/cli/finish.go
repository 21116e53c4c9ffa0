package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
)

// do runs sign or verify, ends the report and prints it. It returns the outcome
// of the run; what failed is in the report and has been told.
func (r *run) do(ctx context.Context, verb func(context.Context) error, print func() error) fault.Outcome {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	err := r.declare()
	dir := ""
	if err == nil {
		dir, err = r.outputDir()
	}
	if err == nil {
		err = r.openAudit(ctx)
	}
	if err == nil {
		err = r.interrupted(ctx, verb(ctx))
	}
	r.report.End(r.outcome(err), err)
	r.ended()
	r.writeAudit(ctx)
	if err := print(); err != nil && !errors.Is(err, syscall.EPIPE) {
		r.fail(fault.Undecidedf("output_unwritable", "make room, or send it elsewhere", "the report cannot be printed: %w", err))
	}
	r.publish(dir)
	r.tell()
	return fault.Outcome(r.report.ExitCode)
}

// outcome is that of the error and of the subjects.
func (r *run) outcome(err error) fault.Outcome {
	outcomes := []fault.Outcome{fault.OutcomeOf(err)}
	if err == nil && len(r.report.Subjects) == 0 {
		return fault.Undecided
	}
	for i := range r.report.Subjects {
		if s := &r.report.Subjects[i]; err == nil || s.Failed() {
			outcomes = append(outcomes, s.Decided())
		}
	}
	return fault.Worst(outcomes...)
}

// declare sets the outputs that later steps decide by to false: a run that is
// killed leaves that behind, and a runner that takes no outputs is found out
// before anything is signed. A later value replaces an earlier one.
func (r *run) declare() error {
	if done := doneOutput[r.report.Command]; done != "" {
		if err := r.runner.SetOutput(done, "false"); err != nil {
			return err
		}
	}
	return r.runner.SetOutput("verified", "false")
}

// doneOutput is the output of a verb that says that it has done what it is for.
var doneOutput = map[string]string{"sign": "signed", "attest": "attested"}

// outputDir makes the output folder before anything is signed, so that a
// workspace that cannot be written to is found out first.
func (r *run) outputDir() (string, error) {
	name := r.get("output-dir")
	if name == "" {
		return "", nil
	}
	dir, err := r.runner.WorkspacePath(name)
	if err != nil {
		return "", err
	}
	if err = r.runner.MkdirAll(dir); err == nil {
		err = r.writeReports(dir)
	}
	if err != nil {
		return "", fault.Configf("output_unwritable", "give a folder that this step may write to, or leave output-dir out", "output-dir cannot be written to: %w", err)
	}
	return dir, nil
}

// publish writes the report file, the summary and the outputs, each also when
// the run or one of the others has failed. The outputs come last, so that they
// never say more than the exit code.
func (r *run) publish(dir string) {
	if dir != "" {
		if err := r.writeReports(dir); err != nil {
			r.fail(fault.Configf("output_unwritable", "the run itself is done; give a folder that this step may write to", "the report cannot be written: %w", err))
		}
	}
	if r.ShowSummary {
		if err := r.runner.AddSummary(r.report.Summary()...); err != nil {
			r.warn(err.Error()) // the summary is for people; nothing depends on it
		}
	}
	var failed error
	r.setOutputs(func(name, value string) {
		if failed == nil {
			failed = r.runner.SetOutput(name, value)
		}
	}, dir)
	r.fail(failed)
}

// fail adds an error to the end of a run.
func (r *run) fail(err error) {
	if err != nil {
		r.report.End(fault.Worst(fault.OutcomeOf(err), fault.Outcome(r.report.ExitCode)), err)
	}
}

// setOutputs sets every output of the verb; dir is the output folder or "". The
// two that later steps decide by come last.
func (r *run) setOutputs(set func(name, value string), dir string) {
	r.commonOutputs(set)
	set("report-path", r.reportPath(dir, reportName))
	set("sarif-path", r.reportPath(dir, sarifName))
	done := trueFalse(r.report.Verified())
	if name := doneOutput[r.report.Command]; name != "" {
		r.signOutputs(set)
		set(name, done)
	}
	set("verified", done)
}

func (r *run) commonOutputs(set func(name, value string)) {
	var first string
	var images, commands []string
	for i, s := range r.report.Subjects {
		if i == 0 {
			first = s.Digest
		}
		if s.Index != "" || s.Digest == "" {
			continue
		}
		images = append(images, s.Subject.String())
		if s.Outcome == fault.Passed.String() {
			commands = append(commands, r.verifyCommands(s)...)
		}
	}
	results, err := json.Marshal(r.report.Subjects)
	if err != nil {
		results = []byte("[]")
	}
	set("digest", first)
	set("images", strings.Join(images, "\n"))
	set("results", string(results))
	set("verify-command", strings.Join(commands, "\n"))
}

// verifyCommands are lines for people who have the public key in a file.
func (r *run) verifyCommands(s report.Subject) (out []string) {
	const flags = " --key signgate.pub --insecure-ignore-tlog=true "
	if r.report.Command != "attest" {
		return []string{"cosign verify" + flags + s.Subject.String()}
	}
	for _, a := range s.Attestations {
		if strings.ContainsAny(a.Type, "'\"`$\\;&|<>(){}*?!#~") {
			continue // nothing for a shell
		}
		if line := "cosign verify-attestation" + flags + "--type " + attest.Name(a.Type) + " " + s.Subject.String(); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

func trueFalse(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// tell says why the run did not pass: as annotations in a workflow; on a
// terminal only what the report's text does not say.
func (r *run) tell() {
	if !r.runner.Active() {
		if e := r.report.Error; e != nil {
			r.say("error: %s: %s", e.Code, report.Clean(e.Message))
		}
		return
	}
	for _, line := range r.report.Annotations() {
		r.runner.Error("signgate "+r.report.Command+": "+r.report.Outcome, line)
	}
	r.runner.Finish()
}
