package policy

import (
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// charges prices what CEL does not: joining two values whose types it learns
// from the predicate. Without it a small expression could fill the memory.
type charges struct{}

// CallCost returns the cost of joining, and nil for CEL's own price of the rest.
func (charges) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	if function != operators.Add || len(args) != 2 {
		return nil
	}
	cost := uint64(1)
	switch v := result.(type) {
	case types.String:
		cost += uint64(len(v)) / 10
	case types.Bytes:
		cost += uint64(len(v)) / 10
	case traits.Lister:
		if added, ok := args[1].(traits.Lister); ok {
			size, _ := added.Size().(types.Int)
			cost += uint64(size)
		}
	}
	return &cost
}

// unknownSizes says nothing about the predicate: the least cost is then that of
// the expression itself.
type unknownSizes struct{}

func (unknownSizes) EstimateSize(checker.AstNode) *checker.SizeEstimate { return nil }

func (unknownSizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
