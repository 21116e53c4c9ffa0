package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exitCodes are those of the functions that make a fault, and the place of the
// code among their arguments.
var exitCodes = map[string]string{"Configf": "2", "Refusedf": "1", "Undecidedf": "3", "Transientf": "3"}

// TestErrorCodes compares the tables of docs/errors.md with the codes in the
// source, both ways, exit codes included.
func TestErrorCodes(t *testing.T) {
	source, documented := sourceCodes(t), documentedCodes(t)
	for code, exits := range source {
		if want := strings.Join(exits, ", "); documented[code] == "" {
			t.Errorf("docs/errors.md lacks `%s` (exit code %s)", code, want)
		} else if documented[code] != want {
			t.Errorf("docs/errors.md gives `%s` the exit code %s, the source %s", code, documented[code], want)
		}
	}
	for code := range documented {
		if source[code] == nil {
			t.Errorf("docs/errors.md has `%s`, which nothing in the source has", code)
		}
	}
}

func documentedCodes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([0-3](?:, [0-3])*) \\|.+\\|.+\\|$")
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/errors.md"), -1) {
		if out[m[1]] != "" {
			t.Errorf("docs/errors.md has `%s` twice", m[1])
		}
		out[m[1]] = m[2]
	}
	return out
}

// codes are error codes with their exit codes, in ascending order.
type codes map[string][]string

func (c codes) add(code, exit string) {
	if !slices.Contains(c[code], exit) {
		c[code] = append(c[code], exit)
		slices.Sort(c[code])
	}
}

func sourceCodes(t *testing.T) codes {
	t.Helper()
	found := codes{"internal": {"3"}} // fault.CodeOf of an error without a code
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					found.call(t, path, d, n)
				case *ast.AssignStmt:
					found.assignment(n)
				case *ast.CompositeLit:
					found.reason(n)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// call adds the code of a call such as fault.Configf("code", …).
func (c codes) call(t *testing.T, path string, in ast.Decl, call *ast.CallExpr) {
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || exitCodes[fun.Sel.Name] == "" || len(call.Args) == 0 {
		return
	}
	if x, ok := fun.X.(*ast.Ident); !ok || x.Name != "fault" {
		return
	}
	exit := exitCodes[fun.Sel.Name]
	switch arg := call.Args[0].(type) {
	case *ast.BasicLit:
		c.add(text(arg), exit)
	case *ast.Ident:
		for _, code := range literals(in, arg.Name) {
			c.add(code, exit)
		}
	case *ast.CallExpr, *ast.SelectorExpr: // fault.CodeOf(err), f.Code: the code of another fault
	default:
		t.Errorf("%s: the code of a fault is not understood by this test", path)
	}
}

// literals returns the strings that are assigned to a variable in a function.
func literals(in ast.Decl, name string) []string {
	var out []string
	ast.Inspect(in, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		for i := 0; ok && len(a.Lhs) == len(a.Rhs) && i < len(a.Lhs); i++ {
			left, isIdent := a.Lhs[i].(*ast.Ident)
			right, isText := a.Rhs[i].(*ast.BasicLit)
			if isIdent && isText && left.Name == name {
				out = append(out, text(right))
			}
		}
		return true
	})
	return out
}

// assignment adds the code of a finding of the gate: f.Code = "code". Findings
// but "passed" are refusals here; an undecided one has the code of its cause.
func (c codes) assignment(a *ast.AssignStmt) {
	for i := 0; len(a.Lhs) == len(a.Rhs) && i < len(a.Lhs); i++ {
		left, isField := a.Lhs[i].(*ast.SelectorExpr)
		right, isText := a.Rhs[i].(*ast.BasicLit)
		if !isField || !isText || left.Sel.Name != "Code" {
			continue
		}
		if code := text(right); code == "passed" || code == "exception" {
			c.add(code, "0")
		} else {
			c.add(code, "1")
		}
	}
}

// reason adds the code of reason{"code", …}: why the gate does not count
// something, which becomes a refusal when nothing else counts.
func (c codes) reason(l *ast.CompositeLit) {
	if name, ok := l.Type.(*ast.Ident); !ok || name.Name != "reason" || len(l.Elts) == 0 {
		return
	}
	if code, ok := l.Elts[0].(*ast.BasicLit); ok {
		c.add(text(code), "1")
	}
}

func text(l *ast.BasicLit) string {
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return l.Value
	}
	return s
}

// TestTroubleshootingCodes: the codes that docs/troubleshooting.md is about exist.
func TestTroubleshootingCodes(t *testing.T) {
	documented, found := documentedCodes(t), 0
	for _, bold := range regexp.MustCompile(`(?m)^\*\*(.+?)\*\*`).FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1) {
		for _, m := range regexp.MustCompile("`([a-z0-9]+_[a-z0-9_]+)`").FindAllStringSubmatch(bold[1], -1) {
			found++
			if documented[m[1]] == "" {
				t.Errorf("docs/troubleshooting.md is about `%s`, which docs/errors.md does not have", m[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d codes were found", found)
	}
}
