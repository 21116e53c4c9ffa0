package policy

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// numbers gives CEL the numbers of JSON as a person reads them: whole ones are
// exact. A float64 of 2⁵³ or more may stand for another number than the JSON
// had, so reading it is an error, and not a comparison that could be wrong.
type numbers struct{ types.Adapter }

// NativeToValue converts decoded JSON.
func (n numbers) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case map[string]any:
		return types.NewStringInterfaceMap(n, v)
	case []any:
		return types.NewDynamicList(n, v)
	case float64:
		if math.Abs(v) >= 1<<53 {
			return types.NewErr("the number %v is too large to be compared exactly", v)
		}
	case json.Number:
		return exact(v)
	}
	return n.Adapter.NativeToValue(value)
}

func exact(v json.Number) ref.Val {
	if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
		return types.Uint(u)
	}
	f, err := v.Float64()
	if err != nil || math.Abs(f) >= 1<<53 {
		return types.NewErr("the number %s is too large to be compared exactly", v)
	}
	return types.Double(f)
}
