package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/retry"
)

// each calls f for every subject that has not failed, several at a time. An
// error becomes a finding of the subject and stops no other.
func (r *run) each(ctx context.Context, check string, f func(ctx context.Context, s *report.Subject, i int) error) {
	r.all(ctx, check, func(ctx context.Context, s *report.Subject, i int) error {
		if s.Failed() {
			return nil
		}
		return f(ctx, s, i)
	})
}

// few is each with a bound of its own.
func (r *run) few(ctx context.Context, check string, limit int, f func(ctx context.Context, s *report.Subject) error) {
	r.some(ctx, check, min(limit, r.Concurrency), func(ctx context.Context, s *report.Subject, _ int) error {
		if s.Failed() {
			return nil
		}
		return f(ctx, s)
	})
}

// all is each for every subject.
func (r *run) all(ctx context.Context, check string, f func(ctx context.Context, s *report.Subject, i int) error) {
	r.some(ctx, check, r.Concurrency, f)
}

func (r *run) some(ctx context.Context, check string, limit int, f func(ctx context.Context, s *report.Subject, i int) error) {
	var g errgroup.Group
	g.SetLimit(limit)
	defer r.progress.begin(check, len(r.report.Subjects))()
	for i := range r.report.Subjects {
		s := &r.report.Subjects[i]
		g.Go(func() error {
			if err := clocked(s, check, func() error { return f(ctx, s, i) }); err != nil {
				s.Fail(check, r.interrupted(ctx, err))
			}
			r.progress.step(s.Subject.String())
			return nil
		})
	}
	_ = g.Wait() // each failure is in its subject
}

// fresh is how old a reading may be that sign decides by when it has written
// nothing.
const fresh = time.Second

// gateAll decides every subject after sign. views has what the registry listed
// after it was written to; for others it is read again, unless nothing was
// written and it was read a moment ago. Then the tags are looked at once more.
func (r *run) gateAll(ctx context.Context, views []*registry.View, required func(i int) policy.Rule) {
	wrote := slices.ContainsFunc(views, func(v *registry.View) bool { return v != nil }) || time.Since(r.now) > fresh
	r.each(ctx, "gate", func(ctx context.Context, s *report.Subject, i int) error {
		v := views[i]
		switch {
		case v != nil:
		case wrote:
			v = r.registry.View(s.Subject)
		default:
			v = r.view(s.Subject)
		}
		rule := required(i)
		if len(rule.Require)+len(rule.Attestations) == 0 {
			s.Pass("attest", "nothing of what is attested is about this manifest")
			return nil
		}
		if _, err := r.gate(ctx, s, rule, v, min(r.Retries, 4)); err != nil || s.Index != "" {
			return err
		}
		return r.checkTags(ctx, s.Subject)
	})
}

// gate decides a subject. It reads again, up to retries times, what a registry
// may not yet show of what this run wrote.
func (r *run) gate(ctx context.Context, s *report.Subject, required policy.Rule, v *registry.View, retries int) (gate.Verdict, error) {
	for attempt := 0; ; attempt++ {
		verdict, err := gate.Check(ctx, gate.Request{Subject: s.Subject, Rule: required, Now: r.now, Floor: r.floors.of(s.Subject)}, v)
		if err != nil {
			return verdict, err
		}
		s.Decide(verdict)
		s.Rule = r.ruleOfReport(required)
		r.counted(verdict)
		r.accept(s.Subject, verdict)
		r.noteStored(verdict)
		if ctx.Err() != nil && verdict.Outcome() != fault.Passed {
			return verdict, ctx.Err()
		}
		if attempt >= retries || !lagging(verdict) || retry.Wait(ctx, 500*time.Millisecond<<attempt) != nil {
			return verdict, nil
		}
		v = r.registry.View(s.Subject)
	}
}

// lagging reports whether a verdict may come from a registry that does not
// yet show what this run wrote.
func lagging(v gate.Verdict) bool {
	return slices.ContainsFunc(v.Findings, func(f gate.Finding) bool {
		return strings.HasPrefix(f.Check, storedCheck) && slices.Contains([]string{"write_lost", "referrer_missing", "blob_missing"}, f.Code)
	})
}
