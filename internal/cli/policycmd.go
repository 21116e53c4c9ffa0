package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/policy"
)

func newPolicy(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain, test and write policy files",
		Long: `Work with policy files. None of these verbs decides about an image; signgate
verify --policy FILE does.`,
	}
	cmd.AddCommand(newPolicyCheck(p), newPolicyExplain(p), newPolicyTest(p), newPolicyInit(p), newPolicyPin(p), newPolicyExport(p))
	return cmd
}

func addOutput(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "what is printed: text or json")
}

// policyFile reads a policy that is an argument.
func (r *run) policyFile(path string) (*policy.Policy, error) {
	r.values = maps.Clone(r.values)
	r.values["policy"] = path
	return r.loadPolicy()
}

// specificity is the number of characters before the first wildcard, which
// decides between rules, and whether there is none: such a pattern comes before
// one of the same length.
func specificity(p policy.Pattern) (literal int, exact bool) {
	before, _, wildcard := strings.Cut(p.String(), "*")
	return len(before), !wildcard
}

// bySpecificity compares patterns: the more specific comes first.
func bySpecificity(a, b policy.Pattern) int {
	x, xExact := specificity(a)
	y, yExact := specificity(b)
	switch {
	case x != y:
		return y - x
	case xExact == yExact:
		return strings.Compare(a.String(), b.String())
	case xExact:
		return -1
	}
	return 1
}

// inOrder returns the rules, the most specific first, each with its most
// specific pattern first.
func inOrder(rules []policy.Rule) []policy.Rule {
	out := slices.Clone(rules)
	for i := range out {
		out[i].Patterns = slices.SortedFunc(slices.Values(out[i].Patterns), bySpecificity)
	}
	slices.SortStableFunc(out, func(a, b policy.Rule) int { return bySpecificity(a.Patterns[0], b.Patterns[0]) })
	return out
}
