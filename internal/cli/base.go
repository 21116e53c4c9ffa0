package cli

import (
	"context"
	"slices"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// maxBases bounds the images that are looked at below one.
const maxBases = 8

// gateBase decides the base images of a subject by their own rules, where its
// rule asks for that.
func (r *run) gateBase(ctx context.Context, s *report.Subject, rule policy.Rule, verdict gate.Verdict) error {
	if _, skipped := rule.Skips("base"); rule.Base == nil || skipped || r.hasChildren(s.Subject) {
		return nil // the manifests below the index have their own
	}
	bases, err := r.bases(ctx, s.Subject, rule.Base, verdict)
	if err != nil {
		return err
	}
	for _, b := range bases {
		below, err := r.gateBelow(ctx, b)
		if err != nil {
			return err
		}
		s.Add("base "+b.Name+": ", below)
	}
	return nil
}

// hasChildren reports whether manifests below the index are gated themselves.
func (r *run) hasChildren(s image.Subject) bool {
	return slices.ContainsFunc(r.report.Subjects, func(c report.Subject) bool { return c.Index == s.Digest && c.Repository == s.Repository })
}

// bases returns what the image was built from, by the place that the rule names.
func (r *run) bases(ctx context.Context, s image.Subject, want *policy.Base, verdict gate.Verdict) ([]gate.Base, error) {
	var bases []gate.Base
	if want.DigestFrom == "annotations" {
		m, _, err := r.registry.Manifest(ctx, s.Repository, s.Digest)
		if err != nil {
			return nil, err
		}
		if b, named := gate.AnnotatedBase(m.Body); named {
			bases = append(bases, b)
		}
	} else {
		bases = gate.ProvenBases(verdict.Attested)
	}
	switch {
	case len(bases) == 0:
		return nil, fault.Refusedf("base_unknown", "name it when the image is built, or leave base out of the rule", "the %s of %s name no base image", want.DigestFrom, s)
	case len(bases) > maxBases:
		return nil, fault.Undecidedf("limit_exceeded", "build the image from fewer images", "%s was built from %d images, and at most %d are looked at", s, len(bases), maxBases)
	}
	return bases, nil
}

// gateBelow decides a base image by its own rule, without a tag.
func (r *run) gateBelow(ctx context.Context, b gate.Base) (gate.Verdict, error) {
	if b.Repository == "" {
		return gate.Verdict{}, fault.Refusedf("base_unknown", "build from an image that is named with its digest", "the base image %q is not named with a digest", b.Name)
	}
	if _, err := r.rules(b.Repository); err != nil { // before anything is asked
		return gate.Verdict{}, err
	}
	base, _, err := r.resolve(ctx, image.Image{Repository: b.Repository, Digest: b.Digest})
	if err != nil {
		return gate.Verdict{}, err
	}
	rule, err := r.ruleOf(base)
	if err != nil {
		return gate.Verdict{}, err
	}
	defer r.forget(base)
	return gate.Check(ctx, gate.Request{Subject: base, Rule: rule, Now: r.now, Floor: r.floors.of(base)}, r.view(base))
}
