// Package policy is what a gate requires, in public keys.
//
// A Policy never names a key by URI: whoever decides needs no backend and no
// credentials. It is one strict YAML file, which docs/policy.md specifies, and
// exactly one of its rules applies to an image. Thresholds count distinct public
// keys, never signatures.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// Policy is a loaded policy file.
type Policy struct {
	Name       string // of the file
	SHA256     string // of the text and of every key file that it names; see Load
	Keys       []Key  // in the order of the file
	Rules      []Rule
	Exceptions []Exception
}

// Exception lets one image pass without some of the requirements for a while.
type Exception struct {
	ID, Image, Reason, By string
	Skip                  []string // of Skippable
	Until                 time.Time
}

// Skippable returns what an exception may skip. The digest, the keys' validity
// and their revocation are not among it.
func Skippable() []string {
	return []string{"signatures", "maxAge", "bind", "index", "attestations", "base"}
}

// String returns the exception in one line.
func (e Exception) String() string {
	s := fmt.Sprintf("the exception %s skips %s for %s until %s (%s)", e.ID, strings.Join(e.Skip, ", "), e.Image, day(e.Until), e.Reason)
	if e.By != "" {
		s += ", by " + e.By
	}
	return s
}

// RuleFor returns the one rule for the repository: that with the most literal
// pattern. Without one it is a refusal ("rule_missing"): what no rule is for is
// denied.
func (p *Policy) RuleFor(repository string) (Rule, error) {
	var best Rule
	weight := -1
	for _, r := range p.Rules {
		for _, pattern := range r.Patterns {
			if pattern.Matches(repository) && pattern.weight() > weight {
				best, weight = r, pattern.weight()
			}
		}
	}
	if weight < 0 {
		return Rule{}, fault.Refusedf("rule_missing", "add a rule for it to the policy, or gate the image that was meant; signgate policy explain shows the rules",
			"the policy %s has no rule for the repository %s", p.Name, image.Canonical(repository))
	}
	return best, nil
}

// For returns the rule for an image with the exceptions that are in force: for
// the image itself, or for the index that lists it.
func (p *Policy) For(subject image.Subject, now time.Time) (Rule, error) {
	rule, err := p.RuleFor(subject.Repository)
	if err != nil {
		return Rule{}, err
	}
	for _, e := range p.Exceptions {
		if e.covers(subject) && now.Before(e.Until) {
			rule.Skipped = append(rule.Skipped, e)
		}
	}
	return rule, nil
}

// covers reports whether the exception is for the subject or for its index.
func (e Exception) covers(s image.Subject) bool {
	repository := image.Canonical(s.Repository) + "@"
	return e.Image == repository+s.Digest || s.Index != "" && e.Image == repository+s.Index
}

// Skips returns the exception in force that skips what, if any.
func (r Rule) Skips(what string) (Exception, bool) {
	i := slices.IndexFunc(r.Skipped, func(e Exception) bool { return slices.Contains(e.Skip, what) })
	if i < 0 {
		return Exception{}, false
	}
	return r.Skipped[i], true
}
