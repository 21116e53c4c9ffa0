package cli

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/audit"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
)

func newAudit(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check audit logs",
		Long:  "Check the files that sign, attest and verify add to with --audit-log.",
	}
	cmd.AddCommand(newAuditCheck(p))
	return cmd
}

func newAuditCheck(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Find lines of audit logs that were changed, removed, moved, repeated or put in",
		Long: `Follow the chain of hashes through each file. It says which line breaks the
chain and how, and prints how many lines there are, the times of the first and the
last, and the hash of the last, the head.

A chain cannot show that its end was cut off. Note the head in another place and
give it later as --head: some line has to have that hash.

Exit codes: 0 the chains hold, 1 one does not, 2 a file cannot be read, 3 undecided.`,
		Example: `  signgate audit check audit.jsonl
  signgate audit check --head 4f1c… audit.jsonl`,
		Args: cobra.MinimumNArgs(1),
	}
	head := cmd.Flags().String("head", "", "a hash that a line of one of the files must have, as an earlier check printed it")
	output := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, files []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return checkAudits(p, files, *head, *output)
	}
	return cmd
}

// checkedAudit is what check says of one file.
type checkedAudit struct {
	File string `json:"file"`
	audit.Checked
}

// auditReport is what check prints.
type auditReport struct {
	Outcome string         `json:"outcome"`
	Files   []checkedAudit `json:"files"`
	Head    *headView      `json:"expectedHead,omitempty"`
}

// headView says where the expected head is; without a file it is in none.
type headView struct {
	Hash  string `json:"hash"`
	File  string `json:"file,omitempty"`
	After int    `json:"linesAfter"`
	Code  string `json:"code,omitempty"`
}

var auditHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

func checkAudits(p Process, files []string, head, output string) error {
	r, err := newCommandRun(p, "audit", values{})
	if err != nil {
		return err
	}
	if head != "" && !auditHash.MatchString(head) {
		return badInput("head", head, "64 lower-case hex digits")
	}
	var out auditReport
	outcome := fault.Passed
	for _, file := range files {
		c, err := r.checkAudit(file)
		if err != nil {
			return err
		}
		if len(c.Problems) > 0 {
			outcome = fault.Refused
		}
		out.Files = append(out.Files, checkedAudit{file, c})
	}
	if head != "" && !out.find(head) {
		outcome = fault.Refused
	}
	out.Outcome = outcome.String()
	if err := r.printAudit(out, output); err != nil {
		return err
	}
	return ended(outcome)
}

func (r *run) checkAudit(file string) (audit.Checked, error) {
	f, err := os.Open(r.runner.TranslatePath(file))
	if err != nil {
		return audit.Checked{}, fault.Configf("file_unreadable", "check the path and the permissions of the file", "the audit log %s cannot be read: %w", file, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return audit.Checked{}, fault.Configf("file_unreadable", "name the file", "the audit log %s cannot be read: %w", file, errors.Join(err, errors.New("it is a folder")))
	}
	return audit.Check(f)
}

// find looks for the expected head and reports whether a file has it.
func (a *auditReport) find(hash string) bool {
	for _, c := range a.Files {
		if after, found := c.After(hash); found {
			a.Head = &headView{Hash: hash, File: c.File, After: after}
			return true
		}
	}
	h := headView{Hash: hash}
	h.Code = "audit_truncated"
	a.Head = &h
	return false
}

func (r *run) printAudit(a auditReport, output string) error {
	var b strings.Builder
	for _, c := range a.Files {
		for _, problem := range c.Problems {
			report.Line(&b, "%s:%d: %s: %s", c.File, problem.Line, problem.Code, problem.What)
		}
		if len(c.Problems) == audit.MaxProblems {
			report.Line(&b, "%s: there may be more; the first %d are shown", c.File, audit.MaxProblems)
		}
		c.text(&b)
	}
	switch h := a.Head; {
	case h == nil:
		report.Line(&b, "whether lines are missing at the end, a chain cannot show: note the head in another place, and give it as --head next time")
	case h.Code != "":
		report.Line(&b, "%s: no line has the hash %s: the end was cut off, or this is another log", h.Code, h.Hash)
	default:
		report.Line(&b, "%s has the line with the hash %s, and %d after it", h.File, h.Hash, h.After)
	}
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, a)
	}
	_, err := r.stdout().Write([]byte(b.String()))
	return err
}

func (c checkedAudit) text(b *strings.Builder) {
	state := "the chain holds"
	if len(c.Problems) > 0 {
		state = "THE CHAIN IS BROKEN"
	}
	report.Line(b, "%s: %s; %d lines", c.File, state, c.Lines)
	if c.Lines > 0 {
		report.Line(b, "    first %s", c.First.UTC().Format(time.RFC3339))
		report.Line(b, "    last  %s", c.Last.UTC().Format(time.RFC3339))
	}
	report.Line(b, "    head  %s", c.Head)
}
