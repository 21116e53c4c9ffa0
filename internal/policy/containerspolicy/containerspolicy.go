// Package containerspolicy renders a policy as containers-policy.json(5), which
// Podman, CRI-O and Skopeo enforce.
//
// What the format cannot say is dropped, and listed: a caller who refuses when
// something was dropped has an export that admits no image that the policy
// refuses, apart from what the notes say. Keys that do not count when it is made
// are left out, so the export has to be made again when one ends; Until says
// when.
//
//	rule                       requirement
//	group with min 1           sigstoreSigned with any of its keys
//	group that needs all       sigstoreSigned for each of its keys
//	several groups             several requirements, all of which have to be met
//	X and X/**                 the scope X
//	bind tag                   matchRepoDigestOrExact
//	bind repository, or none   matchRepository
//	remap                      remapIdentity
//	no rule                    reject
package containerspolicy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/policy"
)

// Export is a rendered policy.
type Export struct {
	JSON    []byte
	Dropped []string  // what the policy asks for and the JSON does not, with the rule it is in
	Notes   []string  // what to know about the rest
	Until   time.Time // when the JSON has to be made again, because a key's validity begins or ends; zero for never
}

// Render exports a policy as it stands at a time. It returns an error only for
// one that JSON cannot hold.
func Render(p *policy.Policy, now time.Time) (Export, error) {
	r := renderer{now: now, scopes: map[string][]requirement{}, rules: map[string][]scoped{}}
	for _, rule := range p.Rules {
		r.rule(rule)
	}
	r.wider(p)
	for _, e := range p.Exceptions {
		if now.Before(e.Until) {
			r.drop("%s", e)
		}
	}
	r.note("Podman and CRI-O read these signatures only with use-sigstore-attachments: true in containers-registries.d(5)")
	data, err := json.MarshalIndent(document{Default: []requirement{{Type: "reject"}}, Transports: map[string]map[string][]requirement{"docker": r.scopes}}, "", "  ")
	r.out.JSON = append(data, '\n')
	return r.out, err
}

// document is a containers-policy.json(5).
type document struct {
	Default    []requirement                       `json:"default"`
	Transports map[string]map[string][]requirement `json:"transports"`
}

// requirement is a policy requirement: "reject" or "sigstoreSigned".
type requirement struct {
	Type           string    `json:"type"`
	KeyData        []byte    `json:"keyData,omitempty"` // PEM, which JSON has in base64
	KeyDatas       [][]byte  `json:"keyDatas,omitempty"`
	SignedIdentity *identity `json:"signedIdentity,omitempty"`
}

// identity is what the docker-reference of a signature has to be.
type identity struct {
	Type         string `json:"type"`
	Prefix       string `json:"prefix,omitempty"`
	SignedPrefix string `json:"signedPrefix,omitempty"`
}

type renderer struct {
	out    Export
	now    time.Time
	scopes map[string][]requirement
	rules  map[string][]scoped
}

// scoped is a rule that has a scope.
type scoped struct {
	rule  string
	below bool // it is for what is below the scope, and not for the repository alone
}

func (r *renderer) drop(format string, args ...any) {
	r.out.Dropped = add(r.out.Dropped, fmt.Sprintf(format, args...))
}

func (r *renderer) note(format string, args ...any) {
	r.out.Notes = add(r.out.Notes, fmt.Sprintf(format, args...))
}

func add(to []string, text string) []string {
	if slices.Contains(to, text) {
		return to
	}
	return append(to, text)
}

func (r *renderer) rule(rule policy.Rule) {
	r.unsaid(rule)
	signed := r.signed(rule)
	for _, pattern := range rule.Patterns {
		scope, below := strings.CutSuffix(pattern.String(), "/**")
		if strings.Contains(scope, "*") {
			r.drop("the rule %s: the pattern %s, because scopes are whole repositories or what is below them", rule.Name, pattern)
		} else if r.place(scope, scoped{rule.Name, below}) {
			for _, requirement := range signed {
				if requirement.Type != "reject" {
					requirement.SignedIdentity = r.identity(rule, scope)
				}
				r.scopes[scope] = append(r.scopes[scope], requirement)
			}
		}
	}
}

// place gives a scope to a rule. It reports false when the rule has it already.
func (r *renderer) place(scope string, s scoped) bool {
	before := r.rules[scope]
	r.rules[scope] = append(before, s)
	if slices.ContainsFunc(before, func(o scoped) bool { return o.rule == s.rule }) {
		return false
	}
	if len(before) > 0 {
		r.drop("the rules %s and %s have the scope %s both: it asks for what each of them asks for", before[0].rule, s.rule, scope)
	}
	return true
}

// wider tells where a scope is for more than its patterns: it is always for the
// repository of its name and for what is below.
func (r *renderer) wider(p *policy.Policy) {
	for _, scope := range slices.Sorted(maps.Keys(r.rules)) {
		below := func(o scoped) bool { return o.below }
		alone := func(o scoped) bool { return !o.below }
		if !slices.ContainsFunc(r.rules[scope], alone) && strings.Contains(scope, "/") {
			r.opens(p, scope)
		}
		if slices.ContainsFunc(r.rules[scope], below) {
			continue
		}
		r.note("the scope %s is for the repositories below it as well, for which the policy has another rule or none", scope)
		for outer, rules := range r.rules {
			if i := slices.IndexFunc(rules, below); i >= 0 && strings.HasPrefix(scope, outer+"/") {
				r.drop("the rule %s: below %s its place is taken by the rule %s", rules[i].rule, scope, r.rules[scope][0].rule)
			}
		}
	}
	slices.Sort(r.out.Dropped)
}

// opens tells that the scope of what is below a name is for the name itself, too.
func (r *renderer) opens(p *policy.Policy, scope string) {
	if other, err := p.RuleFor(scope); err == nil {
		r.drop("the rule %s: for the repository %s its place is taken by the rule %s", other.Name, scope, r.rules[scope][0].rule)
		return
	}
	r.note("the scope %s is for the repository %s as well, for which the policy has no rule", scope, scope)
}

// unsaid lists what a rule requires beyond signatures.
func (r *renderer) unsaid(rule policy.Rule) {
	for what, asked := range map[string]bool{
		"maxAge":                rule.MaxAge > 0,
		"bind.rollback":         rule.Bind.Rollback,
		"attestations":          len(rule.Attestations) > 0,
		"base":                  rule.Base != nil,
		"mode: warn (enforced)": rule.Mode == policy.Warn,
	} {
		if asked {
			r.drop("the rule %s: %s", rule.Name, what)
		}
	}
	slices.Sort(r.out.Dropped)
	if rule.Index == policy.Self {
		r.note("the rule %s: the manifest of the platform that is pulled has to be signed as well", rule.Name)
	}
	if !rule.Bind.Tag && len(rule.Bind.Remap) == 0 {
		r.note("the rule %s: a signature for one tag of a repository admits the image under its other tags", rule.Name)
	}
}

// identity says which docker-reference counts in a scope.
func (r *renderer) identity(rule policy.Rule, scope string) *identity {
	best := ""
	for from := range rule.Bind.Remap {
		switch {
		case from == scope || strings.HasPrefix(scope, from+"/"):
			if len(from) > len(best) {
				best = from
			}
		case strings.HasPrefix(from, scope+"/"):
			r.drop("the rule %s: the remapping of %s, which is only a part of the scope %s", rule.Name, from, scope)
		}
	}
	switch {
	case best != "":
		if !rule.Bind.Tag {
			r.note("the rule %s: a remapped signature has to be for the tag as well", rule.Name)
		}
		return &identity{Type: "remapIdentity", Prefix: best, SignedPrefix: rule.Bind.Remap[best]}
	case rule.Bind.Tag:
		return &identity{Type: "matchRepoDigestOrExact"}
	}
	return &identity{Type: "matchRepository"}
}
