package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// checkedPolicy is what check says of one file: its mistakes, or what it holds.
type checkedPolicy struct {
	File       string          `json:"file"`
	SHA256     string          `json:"policySha256,omitempty"`
	Problems   []problemView   `json:"problems,omitempty"`
	Keys       []keyView       `json:"keys,omitempty"`
	Rules      []ruleView      `json:"rules,omitempty"` // the most specific first
	Exceptions []exceptionView `json:"exceptions,omitempty"`
	Warnings   []string        `json:"warnings,omitempty"`
}

type problemView struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	What   string `json:"what"`
	Fix    string `json:"fix"`
}

type exceptionView struct {
	ID       string `json:"id"`
	DaysLeft int    `json:"daysLeft"`
	Text     string `json:"text"`
}

func newPolicyCheck(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Load policy files and show what they say, or every mistake in them",
		Long: `Load policy files. Each mistake is a line FILE:LINE:COLUMN: what; fix. Of a
good file it prints the keys, the rules in the order in which they are tried, the
exceptions, and the hash to pin as policy-sha256.

Exit codes: 0 all files are good, 2 one is not.`,
		Example: "  signgate policy check policy.yaml",
		Args:    cobra.MinimumNArgs(1),
	}
	output := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, files []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return checkPolicies(p, files, *output)
	}
	return cmd
}

func checkPolicies(p Process, files []string, output string) error {
	r, err := newCommandRun(p, "policy", values{})
	if err != nil {
		return err
	}
	var all []checkedPolicy
	outcome := fault.Passed
	for _, file := range files {
		c, err := r.checkPolicy(file)
		if err != nil {
			return err
		}
		if len(c.Problems) > 0 {
			outcome = fault.Config
		}
		for _, w := range c.Warnings {
			r.warn(file + ": " + w)
		}
		all = append(all, c)
	}
	if err := r.printChecked(all, output); err != nil {
		return err
	}
	return ended(outcome)
}

// checkPolicy returns an error only for a file that cannot be read.
func (r *run) checkPolicy(file string) (checkedPolicy, error) {
	c := checkedPolicy{File: file}
	loaded, err := r.policyFile(file)
	for _, m := range policy.Problems(err) {
		c.Problems = append(c.Problems, problemView(m))
	}
	if err == nil {
		c.describe(loaded, r.now)
	} else if len(c.Problems) > 0 {
		err = nil
	}
	return c, err
}

func (c *checkedPolicy) describe(p *policy.Policy, now time.Time) {
	c.SHA256, c.Warnings = p.SHA256, policyWarnings(p, now)
	for _, k := range p.Keys {
		c.Keys = append(c.Keys, viewKey(k, now))
	}
	for _, r := range inOrder(p.Rules) {
		c.Rules = append(c.Rules, viewRule(r))
	}
	for _, e := range p.Exceptions {
		left := max(0, int(e.Until.Sub(now).Hours()/24))
		c.Exceptions = append(c.Exceptions, exceptionView{e.ID, left, e.String()})
	}
}

// soon is how long before the end of a key check begins to warn.
const soon = 30 * 24 * time.Hour

// policyWarnings says what will be, or already is, in the way.
func policyWarnings(p *policy.Policy, now time.Time) (out []string) {
	required := map[string]bool{}
	for _, r := range p.Rules {
		for _, k := range r.Keys() {
			required[k.Fingerprint] = true
		}
	}
	for _, k := range p.Keys {
		problem := k.Problem(now)
		switch {
		case !required[k.Fingerprint]:
			out = append(out, "no rule uses the key "+k.Name)
		case problem != nil:
			out = append(out, "the key "+k.Name+" is in a requirement and does not count: "+problem.Error())
		case !k.NotAfter.IsZero() && k.NotAfter.Sub(now) < soon:
			out = append(out, fmt.Sprintf("the key %s ends on %s, in %d days", k.Name, stamp(k.NotAfter), int(k.NotAfter.Sub(now).Hours()/24)))
		}
	}
	for _, r := range inOrder(p.Rules) {
		out = append(out, unmeetable(r, now)...)
	}
	for _, e := range p.Exceptions {
		if !now.Before(e.Until) {
			out = append(out, "the exception "+e.ID+" is over since "+stamp(e.Until)+" and can be removed")
		}
	}
	return out
}

// unmeetable names the groups that no image can meet now.
func unmeetable(r policy.Rule, now time.Time) (out []string) {
	groups := slices.Clone(r.Require)
	for _, a := range r.Attestations {
		groups = append(groups, a.By)
	}
	for _, g := range groups {
		good := slices.DeleteFunc(slices.Clone(g.Keys), func(k envelope.Key) bool { return r.Validity[k.Fingerprint].Problem(now) != nil })
		if len(good) < g.Min {
			out = append(out, fmt.Sprintf("nothing can meet %s of the rule %s now: it asks for %d keys, and %d of its keys count", g.Name, r.Name, g.Min, len(good)))
		}
	}
	return out
}
