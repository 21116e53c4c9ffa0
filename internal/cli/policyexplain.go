package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// explanation is what a policy says of one image, and what the registry has.
type explanation struct {
	Image      string           `json:"image"`
	Policy     report.Trust     `json:"policy"`
	Pattern    patternView      `json:"pattern"` // that decided which rule applies
	Others     []patternView    `json:"others,omitempty"`
	Rule       ruleView         `json:"rule"`
	Keys       []keyView        `json:"keys"`
	Exceptions []string         `json:"exceptions,omitempty"`
	Found      []report.Subject `json:"found,omitempty"` // what verify would say; absent offline
}

func newPolicyExplain(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --policy FILE IMAGE",
		Short: "Show which rule is for an image, what it requires, and what is there",
		Long: `Show which rule of a policy is for an image and why, what it requires, and what
the registry has of that. Nothing is decided: it exits with 0 also where verify
would refuse.

Exit codes: 0 explained, 1 no rule is for the image, 2 configuration, 3 the
registry could not be read.`,
		Example: "  signgate policy explain --policy policy.yaml ghcr.io/acme/app:1.4",
		Args:    cobra.ExactArgs(1),
	}
	output := addFlags(cmd, "policy-explain")
	offline := cmd.Flags().Bool("offline", false, "ask no registry: the rule only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v := flagValues(cmd, args)
		delete(v, "offline")
		r, err := newCommandRun(p, "policy-explain", v)
		if err != nil {
			return err
		}
		if err := checkOutput(*output); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		return r.interrupted(ctx, r.explain(ctx, *offline, *output))
	}
	return cmd
}

func (r *run) explain(ctx context.Context, offline bool, output string) error {
	images, err := r.images(true)
	if err != nil {
		return err
	}
	if r.get("policy") == "" {
		return fault.Configf("trust_missing", "give --policy FILE", "policy explain needs a policy")
	}
	p, err := r.loadPolicy()
	if err != nil {
		return err
	}
	e, err := r.explainRule(p, images[0])
	if err != nil {
		return err
	}
	if !offline {
		if err := r.explainImage(ctx, p, images); err != nil {
			return err
		}
		e.Found = r.report.Subjects
	}
	if err := r.printExplanation(e, output); err != nil {
		return err
	}
	return ended(unanswered(e.Found))
}

// explainRule says what the policy requires of the image.
func (r *run) explainRule(p *policy.Policy, img image.Image) (explanation, error) {
	e := explanation{Image: img.String(), Policy: report.Trust{Source: p.Name, SHA256: p.SHA256}}
	rule, err := p.RuleFor(img.Repository)
	if err != nil {
		for _, other := range inOrder(p.Rules) {
			r.say("there is a rule for %s", other.Name)
		}
		return e, err
	}
	e.Rule = viewRule(rule)
	e.Pattern, e.Others = matching(p, img.Repository)
	required := rule.Keys()
	for _, k := range p.Keys {
		if slices.ContainsFunc(required, sameKey(k.Key)) {
			e.Keys = append(e.Keys, viewKey(k, r.now))
			e.Policy.Fingerprints = append(e.Policy.Fingerprints, k.Fingerprint)
		}
	}
	for _, x := range p.Exceptions {
		repository, digest, _ := strings.Cut(x.Image, "@")
		if repository == image.Canonical(img.Repository) && (img.Digest == "" || img.Digest == digest) && r.now.Before(x.Until) {
			e.Exceptions = append(e.Exceptions, x.String())
		}
	}
	return e, nil
}

// matching returns the patterns that match the repository: the most specific,
// whose rule applies, and the others.
func matching(p *policy.Policy, repository string) (patternView, []patternView) {
	var found []policy.Pattern
	for _, r := range p.Rules {
		for _, pattern := range r.Patterns {
			if pattern.Matches(repository) {
				found = append(found, pattern)
			}
		}
	}
	slices.SortFunc(found, bySpecificity)
	var views []patternView
	for _, pattern := range found {
		views = append(views, viewPattern(pattern))
	}
	return views[0], views[1:]
}

// followPolicy makes the policy's rules those of the run. Unlike verify it asks
// for no rollback state: without one nothing was accepted before, as far as
// anyone says.
func (r *run) followPolicy(p *policy.Policy) (err error) {
	r.policy, r.rules = p, p.RuleFor
	if r.floors = (floors{before: map[string]int64{}}); r.get("rollback-state") == "" && r.MinimumSequence == 0 {
		return nil
	}
	r.floors, err = r.readFloors(p)
	return err
}

// explainImage puts into the report what verify would say.
func (r *run) explainImage(ctx context.Context, p *policy.Policy, images []image.Image) error {
	if err := r.followPolicy(p); err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	r.subjects(ctx, images)
	r.verifyAll(ctx)
	return nil
}

// unanswered is the outcome of an explanation: a refusal is an answer.
func unanswered(subjects []report.Subject) fault.Outcome {
	out := fault.Passed
	for _, s := range subjects {
		if d := s.Decided(); d != fault.Refused {
			out = fault.Worst(out, d)
		}
	}
	return out
}
