package cli

import (
	"context"
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// signAll plans, writes and gates every subject that it can. One that fails
// stops no other; the run fails with it.
func (r *run) signAll(ctx context.Context, keys []*signer.Signer, trusted []envelope.Key) {
	plans := make([]*plan, len(r.report.Subjects))
	r.each(ctx, "sign", func(ctx context.Context, s *report.Subject, i int) (err error) {
		plans[i], err = r.plan(ctx, s.Subject, keys)
		if err == nil {
			s.Existing, s.RequestIDs = plans[i].existing, plans[i].requestIDs
		}
		return err
	})
	if r.DryRun {
		r.each(ctx, "dry-run", func(_ context.Context, s *report.Subject, i int) error {
			s.Signed = len(plans[i].attachments)
			s.Pass("dry-run", "signed and verified locally, not written")
			return nil
		})
		return
	}
	views := r.attachAll(ctx, plans)
	own := publicKeys(keys)
	r.gateAll(ctx, views, func(i int) policy.Rule { return r.signPolicy(own, trusted, plans[i]) })
}

// attachAll writes what was planned, waits once for other writers where that
// is needed, and merges what they dropped. It returns what the registry then
// lists, for each subject that was written.
func (r *run) attachAll(ctx context.Context, plans []*plan) []*registry.View {
	placed := make([]*registry.Placed, len(plans))
	groups := r.sameManifest()
	r.each(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) (err error) {
		attachments := together(plans, groups[i])
		if v := r.view(s.Subject); len(attachments) > 0 || slices.Contains(r.Formats, envelope.SimpleSigning) && v.Behind(ctx) {
			placed[i], err = r.registry.Attach(ctx, s.Subject, v, attachments)
		}
		return err
	})
	settled := r.registry.Settle(ctx)
	views := make([]*registry.View, len(plans))
	r.all(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) (err error) {
		if s.Failed() && placed[i] == nil {
			return nil
		}
		if placed[i] == nil || settled != nil {
			return settled
		}
		views[i], err = r.registry.Confirm(ctx, placed[i]) // also where Attach has failed half-way: others may have lost something
		if err == nil && placed[i].Refused != nil {
			err = r.refused(placed[i].Refused)
			plans[i].refused = placed[i].Refused
		}
		if err == nil && !s.Failed() {
			s.Written, s.Signed = placed[i].Written, len(plans[i].attachments)
		}
		return err
	})
	r.share(groups, plans, views)
	return views
}

// refused decides what becomes of a signature tag that cannot be replaced: an
// error when the user asked for that format, and a warning otherwise.
func (r *run) refused(err error) error {
	if r.get("formats") != "" {
		return err
	}
	r.warn("the bundle is attached and the simplesigning signature is not: " + err.Error())
	return nil
}

// sameManifest returns for each subject the subjects whose signatures are stored
// in the same place, itself included, and nothing for all but the first of
// those: one writer writes them together. What has failed is left out.
func (r *run) sameManifest() [][]int {
	groups, first := make([][]int, len(r.report.Subjects)), map[string]int{}
	for i, s := range r.report.Subjects {
		if s.Failed() {
			continue
		}
		at, again := first[r.stored(s.Subject)]
		if !again {
			at = i
			first[r.stored(s.Subject)] = i
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

func together(plans []*plan, group []int) (out []envelope.Attachment) {
	for _, i := range group {
		out = append(out, plans[i].attachments...)
	}
	return out
}

// share gives what became of the first subject of a group to the others.
func (r *run) share(groups [][]int, plans []*plan, views []*registry.View) {
	for at, group := range groups {
		for _, i := range group {
			if i == at {
				continue
			}
			from, to := &r.report.Subjects[at], &r.report.Subjects[i]
			if from.Failed() {
				f := from.Findings[len(from.Findings)-1]
				to.Fail(f.Check, fault.Newf(from.Decided(), f.Code, f.Next, "%s", f.Fact))
			}
			to.Written, to.Signed = from.Written, len(plans[i].attachments)
			views[i], plans[i].refused = views[at], plans[at].refused
		}
	}
}
