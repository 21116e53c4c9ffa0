package cli

import (
	"context"

	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// verify gates the images by the policy or the trusted keys, and then moves the
// tags that are to be promoted. It needs no key backend.
func (r *run) verify(ctx context.Context) error {
	images, err := r.images(true)
	if err != nil {
		return err
	}
	if r.rules, err = r.verifyRules(); err != nil {
		return err
	}
	promoted := r.list("promote-tags")
	if err := r.checkPromotion(images, promoted); err != nil {
		return err
	}
	r.report.Proof = report.ProofTrusted
	if err := r.connect(images); err != nil {
		return err
	}
	r.subjects(ctx, images)
	r.verifyAll(ctx)
	if len(promoted) > 0 {
		r.promote(ctx, promoted)
	}
	return r.saveFloors()
}

// verifyAll decides every subject from what the registry holds.
func (r *run) verifyAll(ctx context.Context) {
	r.each(ctx, "gate", func(ctx context.Context, s *report.Subject, _ int) error {
		defer r.forget(s.Subject)
		rule, err := r.ruleOf(s.Subject)
		if err != nil {
			return err
		}
		if err := r.verifyOne(ctx, s, rule); err != nil {
			s.Fail("gate", r.interrupted(ctx, err))
		}
		if rule.Mode == policy.Warn {
			s.Spare()
		}
		return nil
	})
}

// verifyOne decides a subject by its rule: signatures and attestations, then its
// base image, then whether it may have the tags that are to be promoted.
func (r *run) verifyOne(ctx context.Context, s *report.Subject, rule policy.Rule) error {
	verdict, err := r.gate(ctx, s, rule, r.view(s.Subject), 0)
	if err != nil || s.Failed() {
		return err
	}
	if err := r.gateBase(ctx, s, rule, verdict); err != nil || s.Failed() {
		return err
	}
	if tags := r.list("promote-tags"); len(tags) > 0 && s.Index == "" {
		return r.gatePromotion(ctx, s, rule, tags)
	}
	return nil
}

// ruleOf returns the rule of a subject, with the exceptions that are in force.
func (r *run) ruleOf(s image.Subject) (policy.Rule, error) {
	if r.policy == nil {
		return r.rules(s.Repository)
	}
	rule, err := r.policy.For(s, r.now)
	for _, e := range rule.Skipped {
		r.warn(e.String())
	}
	return rule, err
}
