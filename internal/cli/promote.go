package cli

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
)

var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) // OCI distribution 1.1, "Pulling manifests"

// checkPromotion refuses tags that no image could get.
func (r *run) checkPromotion(images []image.Image, tags []string) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		if !tagForm.MatchString(tag) || strings.HasPrefix(tag, "sha256-") { // where signatures are
			return badInput("promote-tags", tag, "a tag")
		}
	}
	for _, img := range images {
		if len(tags) > 0 && seen[img.Repository] {
			return fault.Configf("inputs_contradict", "promote one image of a repository at a time", "promote-tags is given with two images of %s, and a tag points to one", img.Repository)
		}
		seen[img.Repository] = true
	}
	return nil
}

// gatePromotion decides whether an image that has passed may have the tags: they
// have to be among the signed claims, whatever else the rule binds, and no
// exception spares an image that.
func (r *run) gatePromotion(ctx context.Context, s *report.Subject, rule policy.Rule, tags []string) error {
	wanted := s.Subject
	wanted.Tags = tags
	rule = promotable(rule)
	verdict, err := gate.Check(ctx, gate.Request{Subject: wanted, Rule: rule, Now: r.now, Floor: r.floors.of(wanted)}, r.view(s.Subject))
	if err != nil {
		return err
	}
	s.Add("promotion: ", verdict)
	r.accept(wanted, verdict)
	return nil
}

// promotable is the rule with the tag bound, also for an image with an exception.
func promotable(rule policy.Rule) policy.Rule {
	rule.Bind.Tag = true
	rule.Skipped = slices.Clone(rule.Skipped)
	for i, e := range rule.Skipped {
		rule.Skipped[i].Skip = slices.DeleteFunc(slices.Clone(e.Skip), func(s string) bool { return s == "signatures" || s == "bind" })
	}
	return rule
}

// promotion is a tag that is to be moved.
type promotion struct {
	subject *report.Subject
	tag     string
	there   bool // the tag points to the image already
}

func (m promotion) String() string { return m.subject.Repository + ":" + m.tag }

// promote moves the tags to the images once every image has passed. It looks at
// all that the tags point to first, and moves nothing when one of them may not
// be moved.
func (r *run) promote(ctx context.Context, tags []string) {
	var moves []promotion
	for i := range r.report.Subjects {
		s := &r.report.Subjects[i]
		if s.Decided() != fault.Passed || s.Spared {
			r.say("no tag was moved, because not every image has passed")
			return
		}
		if rule, err := r.rules(s.Repository); err != nil || rule.Mode == policy.Warn {
			r.say("no tag was moved, because the rule for %s only warns", s.Repository)
			return
		}
		for _, tag := range tags {
			if s.Index == "" {
				moves = append(moves, promotion{subject: s, tag: tag})
			}
		}
	}
	for i := range moves {
		m := &moves[i]
		if err := r.mayMove(ctx, m); err != nil {
			m.subject.Fail("promotion", r.interrupted(ctx, err))
			return
		}
	}
	var moved []string
	for _, m := range moves {
		if err := r.move(ctx, m); err != nil {
			m.subject.Fail("promotion", partly(moved, r.interrupted(ctx, err)))
			return
		}
		if !m.there {
			moved = append(moved, m.String())
		}
		m.subject.Promoted = append(m.subject.Promoted, m.tag)
	}
}

// partly says what has been moved before err: a run that has moved something is
// undecided, whatever stopped it.
func partly(moved []string, err error) error {
	if len(moved) == 0 {
		return err
	}
	return fault.Undecidedf("promotion_partial", "run again when the cause is gone; tags that point to the image already stay", "not all tags were moved, for certain only %s: %w", strings.Join(moved, ", "), err)
}

// mayMove refuses to take a tag from a newer image. What the tag points to is
// newer when it meets the rule with a higher sequence number: then only
// signatures with a higher one count, so that none of them is overlooked behind
// one with a lower.
func (r *run) mayMove(ctx context.Context, m *promotion) error {
	s := m.subject.Subject
	digest, found, err := r.registry.Resolve(ctx, s.Repository, m.tag)
	m.there = err == nil && digest == s.Digest
	if err != nil || found == registry.Absent || m.there {
		return err
	}
	current, _, err := r.resolve(ctx, image.Image{Repository: s.Repository, Digest: digest})
	if err != nil {
		return err
	}
	current.Tags = []string{m.tag}
	rule, err := r.ruleOf(current)
	if err != nil {
		return err
	}
	ours := r.sequence(s, m.tag)
	verdict, err := gate.Check(ctx, gate.Request{Subject: current, Rule: once(rule), Floor: map[string]int64{m.tag: ours + 1}}, r.view(current))
	defer r.forget(current)
	if err != nil {
		return err
	}
	switch verdict.Outcome() {
	case fault.Undecided:
		f := verdict.Findings[slices.IndexFunc(verdict.Findings, func(f gate.Finding) bool { return f.Outcome == fault.Undecided })]
		return fault.Undecidedf(f.Code, f.Next, "whether %s, which the tag %s points to, is newer cannot be told: %s", digest, m.tag, f.Fact)
	case fault.Passed:
		return fault.Refusedf("promotion_older", "promote the newer image, or sign this one again to make it the newest", "the tag %s points to %s with the sequence number %d, which is newer than %d", m, digest, verdict.Sequence[m.tag], ours)
	}
	return nil
}

// once is what an image had to meet that was accepted before, at whatever time
// that was: only its number matters. A revoked key never counts.
func once(rule policy.Rule) policy.Rule {
	rule = promotable(rule)
	rule.Bind.Rollback, rule.MaxAge, rule.Attestations, rule.Base = true, 0, nil, nil
	validity := map[string]policy.Validity{}
	for fingerprint, v := range rule.Validity {
		validity[fingerprint] = policy.Validity{Revoked: v.Revoked}
	}
	rule.Validity = validity
	return rule
}

// move points the tag to the image and reads it back. What is read decides, and
// not the answer to the write, which can be lost on its way.
func (r *run) move(ctx context.Context, m promotion) error {
	s := m.subject.Subject
	if m.there {
		r.say("%s is %s already", m, s.Digest)
		return nil
	}
	manifest, err := r.manifest(ctx, image.Image{Repository: s.Repository, Digest: s.Digest}, s.Digest)
	if err != nil {
		return err
	}
	written := r.registry.Tag(ctx, s.Repository, m.tag, manifest)
	digest, found, err := r.registry.Resolve(ctx, s.Repository, m.tag)
	switch {
	case err == nil && digest == s.Digest:
		r.say("%s is %s now", m, s.Digest)
		return nil
	case err != nil && written == nil:
		return fault.Undecidedf(fault.CodeOf(err), "see where the tag points to, and run again", "the tag %s was written and cannot be read back: %w", m, err)
	case err != nil:
		return fault.Undecidedf(fault.CodeOf(written), "see where the tag points to, and run again", "whether the tag %s was moved is not known: %w", m, written)
	case written != nil && found == registry.Found:
		return immutable(m, digest, written)
	case written != nil:
		return written
	}
	return fault.Undecidedf("promotion_lost", "find out who else moves the tag, and run again", "the tag %s points to %q after it was moved to %s", m, digest, s.Digest)
}

// immutable returns what the refusal to replace a tag means: for a registry that
// answers everything else, the tag is not to be replaced.
func immutable(m promotion, digest string, written error) error {
	e, ok := errors.AsType[*fault.Error](written)
	if !ok || e.Code != "registry_error" {
		return written
	}
	return fault.Undecidedf("tag_immutable", "let this tag be replaced in the settings of the registry, or promote to a new tag", "the tag %s stays at %s: %s", m, digest, e.What)
}
