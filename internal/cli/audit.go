package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
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

All files are checked, also after one that cannot be read. Exit codes: 0 the chains
hold, 1 one does not, 2 a file cannot be read, 3 undecided; of several the first of
2, 1, 3.`,
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
	Error *auditError `json:"error,omitempty"` // why it was not checked
}

type auditError struct {
	Code string `json:"code"`
	What string `json:"what"`
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
	switch {
	case head == audit.Genesis:
		return badInput("head", head, "the hash of a line; every log begins after 64 zeros, also one that was emptied")
	case head != "" && !auditHash.MatchString(head):
		return badInput("head", head, "64 lower-case hex digits")
	}
	var out auditReport
	outcome, unread := fault.Passed, []error(nil)
	for _, file := range files {
		c, err := r.checkAudit(file)
		checked := checkedAudit{File: file, Checked: c}
		switch {
		case err != nil:
			unread = append(unread, err)
			checked.Error = &auditError{fault.CodeOf(err), err.Error()}
			outcome = fault.Worst(outcome, fault.OutcomeOf(err))
		case len(c.Problems) > 0:
			outcome = fault.Worst(outcome, fault.Refused)
		}
		out.Files = append(out.Files, checked)
	}
	if head != "" {
		out.find(head)
		if out.Head.Code != "" {
			outcome = fault.Worst(outcome, fault.Refused)
		}
	}
	out.Outcome = outcome.String()
	if err := r.printAudit(out, output); err != nil {
		return err
	}
	for _, err := range unread {
		tell(p, err)
	}
	return ended(outcome)
}

func (r *run) checkAudit(file string) (audit.Checked, error) {
	// Opening a pipe waits for its writer, unless it is told not to.
	f, err := os.OpenFile(r.runner.TranslatePath(file), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return audit.Checked{}, fault.Configf("file_unreadable", "check the path and the permissions of the file", "the audit log %s cannot be read: %w", file, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is " + fileKind(info.Mode()))
	}
	if err != nil {
		return audit.Checked{}, fault.Configf("file_unreadable", "name a file; what comes out of a pipe, write into one first", "the audit log %s cannot be read: %w", file, err)
	}
	c, err := audit.Check(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return c, err
}

func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "no plain file"
}

// find looks for the expected head. It can be in a file that was not read.
func (a *auditReport) find(hash string) {
	h := &headView{Hash: hash}
	a.Head = h
	for _, c := range a.Files {
		if after, found := c.After(hash); found {
			h.File, h.After = c.File, after
			return
		}
	}
	if !slices.ContainsFunc(a.Files, func(c checkedAudit) bool { return c.Error != nil }) {
		h.Code = "audit_truncated"
	}
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
	a.headText(&b)
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, a)
	}
	_, err := r.stdout().Write([]byte(b.String()))
	return err
}

func (a auditReport) headText(b *strings.Builder) {
	switch h := a.Head; {
	case h == nil:
		report.Line(b, "whether lines are missing at the end, a chain cannot show: note the head in another place, and give it as --head next time")
	case h.Code != "":
		report.Line(b, "%s: no line has the hash %s: the end was cut off, or this is another log", h.Code, h.Hash)
	case h.File == "":
		report.Line(b, "no line of the files that were read has the hash %s", h.Hash)
	default:
		report.Line(b, "%s has the line with the hash %s, and %d after it", h.File, h.Hash, h.After)
	}
}

func (c checkedAudit) text(b *strings.Builder) {
	switch {
	case c.Error != nil:
		report.Line(b, "%s: NOT CHECKED: %s", c.File, c.Error.Code)
		return
	case c.Lines == 0:
		report.Line(b, "%s: the file is empty; a log that was emptied looks like a new one", c.File)
		return
	case len(c.Problems) > 0:
		report.Line(b, "%s: THE CHAIN IS BROKEN; %d lines", c.File, c.Lines)
	default:
		report.Line(b, "%s: the chain holds; %d lines", c.File, c.Lines)
	}
	if c.Head != audit.Genesis {
		report.Line(b, "    first %s", c.First.UTC().Format(time.RFC3339))
		report.Line(b, "    last  %s", c.Last.UTC().Format(time.RFC3339))
		report.Line(b, "    head  %s", c.Head)
	}
}
