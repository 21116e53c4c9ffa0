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
	var g errgroup.Group
	g.SetLimit(r.Concurrency)
	defer r.progress.begin(check, len(r.report.Subjects))()
	for i := range r.report.Subjects {
		s := &r.report.Subjects[i]
		if s.Failed() {
			continue
		}
		g.Go(func() error {
			if err := f(ctx, s, i); err != nil {
				s.Fail(check, r.interrupted(ctx, err))
			}
			r.progress.step(s.Subject.String())
			return nil
		})
	}
	_ = g.Wait() // each failure is in its subject
}

// gateAll decides every subject from what the registry holds. After our own
// writes views has what the registry listed then; it reads again for a while,
// because some registries lag, and then looks at the tags once more.
func (r *run) gateAll(ctx context.Context, views []*registry.View, required func(i int) policy.Policy) {
	r.each(ctx, "gate", func(ctx context.Context, s *report.Subject, i int) error {
		v, written := r.view(s.Subject), i < len(views) && views[i] != nil
		if written {
			v = views[i]
		}
		for attempt := 0; ; attempt++ {
			verdict, err := gate.Check(ctx, gate.Request{Subject: s.Subject, Policy: required(i), Now: r.now}, v)
			if err != nil {
				return err
			}
			s.Decide(verdict)
			if ctx.Err() != nil && verdict.Outcome() != fault.Passed {
				return ctx.Err()
			}
			if views == nil || attempt >= min(r.Retries, 4) || !lagging(verdict) {
				break
			}
			if retry.Wait(ctx, 500*time.Millisecond<<attempt) != nil {
				break
			}
			v = r.registry.View(s.Subject)
		}
		if s.Index == "" && views != nil {
			return r.checkTags(ctx, s.Subject)
		}
		return nil
	})
}

// lagging reports whether a verdict may come from a registry that does not
// yet show what this run wrote.
func lagging(v gate.Verdict) bool {
	return slices.ContainsFunc(v.Findings, func(f gate.Finding) bool {
		return strings.HasPrefix(f.Check, storedCheck) && slices.Contains([]string{"write_lost", "referrer_missing", "blob_missing"}, f.Code)
	})
}
