package cli

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// signAll plans, writes and gates every subject that it can. One that fails
// stops no other; the run fails with it.
func (r *run) signAll(ctx context.Context, keys []*signer.Signer, trusted []envelope.Key) error {
	if err := r.makeDocuments(ctx); err != nil {
		return err
	}
	documents, err := r.place()
	if err != nil {
		return err
	}
	if n := len(documents) * len(keys); n > registry.MaxAttestations {
		return fault.Configf("attestations_too_many", "attest fewer documents at a time", "the run would make %d attestations, and readers look at %d at most", n, registry.MaxAttestations)
	}
	plans := make([]*plan, len(r.report.Subjects))
	r.each(ctx, "sign", func(ctx context.Context, s *report.Subject, i int) (err error) {
		plans[i], err = r.plan(ctx, s.Subject, keys)
		if err == nil {
			s.Existing = plans[i].existing
		}
		return err
	})
	if err := r.signPlans(ctx, documents, keys, plans); err != nil {
		return err
	}
	r.each(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) error {
		s.AttestedThen, s.RequestIDs = plans[i].attestedThen, slices.Concat(plans[i].requestIDs, plans[i].attestIDs)
		if slices.ContainsFunc(plans[i].attachments(), func(a envelope.Attachment) bool { return a.Format == envelope.Bundle }) {
			return r.view(s.Subject).CheckFallback(ctx)
		}
		return nil
	})
	if r.DryRun {
		r.each(ctx, "dry-run", func(_ context.Context, s *report.Subject, i int) error {
			plans[i].made(s)
			s.Pass("dry-run", "signed and verified locally, not written")
			return nil
		})
		return nil
	}
	views := r.attachAll(ctx, plans)
	own := publicKeys(keys)
	r.gateAll(ctx, views, func(i int) policy.Rule { return r.signPolicy(own, trusted, plans[i]) })
	return nil
}

// signPlans makes all signatures and attestations at the same time.
func (r *run) signPlans(ctx context.Context, documents []attesting, keys []*signer.Signer, plans []*plan) error {
	r.attachBeside(ctx, documents, plans)
	expected := r.expectAll(documents, plans)
	var g errgroup.Group
	g.Go(func() error {
		r.each(ctx, "sign", func(ctx context.Context, s *report.Subject, i int) error { return r.makeAll(ctx, plans[i], s.Subject) })
		return nil
	})
	g.Go(func() error { return r.attestAll(ctx, documents, keys, plans, expected) })
	return g.Wait()
}

// attachAll writes what was planned, waits once for other writers where that
// is needed, and merges what they dropped. It returns what the registry then
// lists, for each subject that was written.
func (r *run) attachAll(ctx context.Context, plans []*plan) []*registry.View {
	placed := make([]*registry.Placed, len(plans))
	groups := r.sameManifest()
	r.each(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) (err error) {
		attachments := together(plans, groups[i])
		if v := r.view(s.Subject); len(attachments) > 0 || r.behind(ctx, v) {
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
		if err == nil {
			plans[i].refused = placed[i].Refused
			err = r.refused(placed[i].Refused)
		}
		if err == nil && !s.Failed() {
			s.Written = placed[i].Written
			plans[i].made(s)
		}
		return err
	})
	r.share(groups, plans, views)
	return views
}

// behind reports whether a tag that this run writes lacks what an earlier writer
// could not merge.
func (r *run) behind(ctx context.Context, v *registry.View) bool {
	return slices.Contains(r.Formats, envelope.SimpleSigning) && (v.Behind(ctx, envelope.SimpleSigning) || v.Behind(ctx, envelope.DSSE))
}

// refused decides what becomes of tags that cannot be replaced: an error when the
// user asked for that format, and a warning otherwise.
func (r *run) refused(tags map[envelope.Format]error) error {
	for f, err := range tags {
		if r.get("formats") != "" {
			return err
		}
		what := "simplesigning signature"
		if f == envelope.DSSE {
			what = "dsse attestation"
		}
		r.warn(fmt.Sprintf("the bundle is attached and the %s is not: %s", what, err))
	}
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

// together returns what is attached to a group. Subjects of one place may share an
// attestation.
func together(plans []*plan, group []int) (out []envelope.Attachment) {
	seen := map[string]bool{}
	for _, i := range group {
		for _, a := range plans[i].attachments() {
			if id := string(a.Format) + image.DigestOf(a.Blob) + fmt.Sprint(a.Annotations); !seen[id] {
				seen[id] = true
				out = append(out, a)
			}
		}
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
			to.Written = from.Written
			plans[i].made(to)
			views[i], plans[i].refused = views[at], plans[at].refused
		}
	}
}
