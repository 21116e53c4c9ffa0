package cli

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/signgate/signgate/internal/audit"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// audited is what goes into the audit log at the end of a run.
type audited struct {
	log  *audit.Log // nil without audit-log
	path string

	mu     sync.Mutex
	made   []audit.Entry     // signatures and attestations, as they were made
	stored map[string]string // the manifest by the digest of an envelope that was read back
}

// auditWait bounds the wait for other writers.
const auditWait = 30 * time.Second

// openAudit finds out, before anything is signed, whether lines can be added to
// the audit log.
func (r *run) openAudit(ctx context.Context) error {
	if r.get("audit-log") == "" {
		return nil
	}
	path, err := r.runner.WorkspacePath(r.get("audit-log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, auditWait)
	defer cancel()
	if r.audited.log, err = audit.Open(ctx, path); err != nil {
		return err
	}
	r.audited.path = path
	r.runner.Chown(path)
	return nil
}

// noteMade keeps that a key has signed. What it signed is about one manifest, or
// the first of several.
func (r *run) noteMade(kind, predicate string, s image.Subject, tags []string, key *signer.Signer, a envelope.Attachment, requestID string) {
	subject := auditSubject(s)
	subject.Tags = tags
	r.audited.mu.Lock()
	defer r.audited.mu.Unlock()
	r.audited.made = append(r.audited.made, audit.Entry{
		Kind: kind, Predicate: predicate, Subject: subject, Key: &audit.Key{ID: key.ID(), Fingerprint: key.Fingerprint()},
		Format: string(a.Format), Envelope: image.DigestOf(a.Blob), RequestID: requestID,
	})
}

// noteStored keeps which envelopes the registry has shown.
func (r *run) noteStored(v gate.Verdict) {
	r.audited.mu.Lock()
	defer r.audited.mu.Unlock()
	if r.audited.stored == nil {
		r.audited.stored = map[string]string{}
	}
	for _, e := range v.Signatures {
		r.audited.stored[image.DigestOf(e.Blob)] = e.Manifest
	}
	for _, e := range v.Attested {
		r.audited.stored[e.Digest] = e.Manifest
	}
}

// writeAudit adds the lines of the run. Without them the run has failed, though
// it may have signed.
func (r *run) writeAudit(ctx context.Context) {
	if r.audited.log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditWait)
	defer cancel()
	entries := r.auditEntries()
	head, err := r.audited.log.Append(ctx, entries...)
	r.runner.Chown(r.audited.path)
	if err == nil {
		r.say("audit log %s: lines added: %d, head %s", r.get("audit-log"), len(entries), head)
		return
	}
	r.fail(fault.Newf(fault.OutcomeOf(err), fault.CodeOf(err), "keep this run's report in its place",
		"the run is done, what it signed stays signed, and none of it is in the audit log: %w", err))
}

// auditEntries returns what the run has signed, in the order in which it was
// made, and then its verdicts: one for each manifest, or that of the run when it
// ended before.
func (r *run) auditEntries() []audit.Entry {
	out := r.audited.made
	for i := range out {
		e := &out[i]
		e.Outcome = audit.Unconfirmed
		if r.DryRun {
			e.Outcome = audit.DryRun
		} else if manifest, ok := r.audited.stored[e.Envelope]; ok {
			e.Outcome, e.Manifest = audit.Stored, manifest
		}
	}
	for _, s := range r.report.Subjects {
		out = append(out, auditVerdict(s))
	}
	if e := r.report.Error; e != nil || len(r.report.Subjects) == 0 {
		end := audit.Entry{Kind: audit.Verdict, Outcome: r.report.Outcome}
		if e != nil {
			end.Codes = []string{e.Code}
		}
		out = append(out, end)
	}
	facts := r.auditRun()
	for i := range out {
		out[i].Command, out[i].Signgate, out[i].Run = r.report.Command, r.report.Version, facts
		if r.policy != nil {
			out[i].Policy = r.policy.SHA256
		}
	}
	return out
}

// auditVerdict is what was decided about one manifest.
func auditVerdict(s report.Subject) audit.Entry {
	e := audit.Entry{Kind: audit.Verdict, Outcome: s.Outcome, Subject: auditSubject(s.Subject), Promoted: s.Promoted}
	for _, f := range s.Findings {
		if f.Outcome != fault.Passed.String() || f.Code != "passed" {
			e.Codes = append(e.Codes, f.Code)
		}
	}
	for _, sig := range s.Signatures {
		e.Signers = append(e.Signers, sig.Fingerprint)
	}
	for _, a := range s.Attestations {
		e.Attesters = append(e.Attesters, a.Fingerprint)
	}
	for _, list := range []*[]string{&e.Codes, &e.Signers, &e.Attesters} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return e
}

func auditSubject(s image.Subject) *audit.Subject {
	return &audit.Subject{Repository: s.Repository, Digest: s.Digest, Tags: s.Tags, Platform: s.Platform, Index: s.Index}
}

// auditRun returns the facts of the workflow run by their names in the claims.
func (r *run) auditRun() map[string]string {
	facts := map[string]string{}
	if text, err := json.Marshal(r.workflowRun()); err == nil {
		_ = json.Unmarshal(text, &facts) // all of them are strings
	}
	return facts
}
