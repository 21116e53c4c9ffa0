package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/signgate/signgate/internal/fault"
)

// The limits of a condition. The cost is CEL's own unit, about a field access
// or a comparison; a million of them take half a second at most. The time is
// for the few operations whose cost CEL underrates, such as comparing two lists
// of lists.
const (
	maxExpression = 16 << 10 // bytes of text
	maxNodes      = 2000     // of the expression, with its macros expanded
	maxDepth      = 50       // of the expression
	maxNesting    = 4        // of all, exists, filter and map
	maxRegexp     = 1000     // instructions of a regular expression
	maxCost       = 1_000_000
	maxTime       = 30 * time.Second
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
	most    time.Duration // that an evaluation may take
}

// Facts are the variables of a condition.
type Facts struct {
	// Predicate is decoded JSON. Whole numbers are exact as json.Number; as
	// float64 those that may have been rounded are an error when they are read.
	Predicate               map[string]any
	PredicateType           string
	Repository, Digest, Tag string
}

// compiler compiles the conditions of one policy, which share an environment.
type compiler struct{ env *cel.Env }

func newEnvironment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CustomTypeAdapter(numbers{types.DefaultTypeAdapter}),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(maxNesting)),
		cel.Variable("predicate", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("predicateType", cel.StringType),
		cel.Variable("image.repository", cel.StringType),
		cel.Variable("image.digest", cel.StringType),
		cel.Variable("image.tag", cel.StringType),
	)
}

// compile returns the condition, or what is wrong with its text.
func (c *compiler) compile(text string) (_ *Condition, err error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	if c.env == nil {
		if c.env, err = newEnvironment(); err != nil {
			return nil, err
		}
	}
	ast, issues := c.env.Compile(text)
	if issues.Err() != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", celError(issues.Err()))
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression yields %s, not true or false", out)
	}
	if cost, err := c.env.EstimateCost(ast, unknownSizes{}); err != nil || cost.Min > maxCost {
		return nil, errors.New("the expression costs more than the limit, whatever the predicate is")
	}
	program, err := c.env.Program(ast, cel.CostTracking(charges{}), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", celError(err))
	}
	return &Condition{text, program, maxTime}, nil
}

// Meets returns nil when the condition is true of the facts. Anything else is a
// refusal ("condition"): false, a value that is no boolean, a field that is not
// there, a cost or a time above the limit.
func (c *Condition) Meets(f Facts) error {
	out, err := c.evaluate(f)
	why := ""
	switch {
	case err != nil:
		why = "cannot be evaluated: " + celError(err)
	case out.Type() != types.BoolType:
		why = "yields " + out.Type().TypeName() + ", not true or false"
	case out != types.True:
		why = "is false"
	default:
		return nil
	}
	return fault.Refusedf("condition", "compare the predicate with the condition; signgate download shows it", "the condition %s %s", cut(oneLine(c.Text), 300), why)
}

// evaluate returns the value of the expression. CEL looks at the time between
// the steps of all, exists, filter and map; a single step that takes longer is
// left behind.
func (c *Condition) evaluate(f Facts) (out ref.Val, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.most)
	defer cancel()
	type result struct {
		out ref.Val
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, _, err := c.program.ContextEval(ctx, map[string]any{
			"predicate": f.Predicate, "predicateType": f.PredicateType,
			"image.repository": f.Repository, "image.digest": f.Digest, "image.tag": f.Tag,
		})
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("it takes longer than %s", c.most)
	}
}

// celError is the text of an error without the picture that CEL draws of where
// it is.
func celError(err error) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(err.Error()), "ERROR: <input>:"), "\n")
	first, _, _ = strings.Cut(oneLine(first), " expecting {")
	return strings.TrimSuffix(strings.TrimPrefix(first, "-1:0: "), " (in container '')")
}
