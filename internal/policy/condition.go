package policy

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/signgate/signgate/internal/fault"
)

// The limits of a condition. The cost is CEL's own unit, about a field access
// or a comparison; a million of them take half a second at most.
const (
	maxExpression = 16 << 10 // bytes of text
	maxCost       = 1_000_000
)

// Condition is a compiled CEL expression over a statement. It is safe for
// concurrent use.
//
// Its variables are predicate (the predicate), predicateType, image.repository,
// image.digest and image.tag. It is total: a field that is not there is an error,
// and an error is a refusal.
type Condition struct {
	Text    string
	program cel.Program
}

// Facts are the variables of a condition.
type Facts struct {
	Predicate               map[string]any
	PredicateType           string
	Repository, Digest, Tag string
}

// compile returns the condition, or what is wrong with its text.
func compile(text string) (*Condition, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	env, err := cel.NewEnv(
		cel.Variable("predicate", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("predicateType", cel.StringType),
		cel.Variable("image", cel.MapType(cel.StringType, cel.StringType)),
	)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", oneLine(issues.Err().Error()))
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression yields %s, not true or false", out)
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(1000))
	return &Condition{text, program}, err
}

// Meets returns nil when the condition is true of the facts. Anything else is a
// refusal ("condition"): false, a value that is no boolean, a field that is not
// there, a cost above the limit.
func (c *Condition) Meets(f Facts) error {
	out, _, err := c.program.Eval(map[string]any{
		"predicate": f.Predicate, "predicateType": f.PredicateType,
		"image": map[string]string{"repository": f.Repository, "digest": f.Digest, "tag": f.Tag},
	})
	why := ""
	switch {
	case err != nil:
		why = "cannot be evaluated: " + oneLine(err.Error())
	case out.Type() != types.BoolType:
		why = "yields " + out.Type().TypeName() + ", not true or false"
	case out != types.True:
		why = "is false"
	default:
		return nil
	}
	return fault.Refusedf("condition", "compare the predicate with the condition; signgate download shows it", "the condition %s %s", c.Text, why)
}

// oneLine drops the picture that CEL draws of where an error is.
func oneLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimPrefix(strings.TrimSpace(first), "ERROR: <input>:")
}
