package docs_test

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	limitRow = regexp.MustCompile("(?m)^\\| (.+?) \\| ([0-9][0-9 ]*)( KiB| MiB| GiB| s| minutes?| hours?)?(?:[,;(].*?)? \\| `([\\w/]+)\\.(\\w+)` \\|$")
	units    = map[string]int64{"": 1, " KiB": 1 << 10, " MiB": 1 << 20, " GiB": 1 << 30, " s": int64(time.Second), " minute": int64(time.Minute), " minutes": int64(time.Minute), " hour": int64(time.Hour), " hours": int64(time.Hour)}
)

// TestLimitsPage compares each row of docs/limits.md with the constant that it
// names.
func TestLimitsPage(t *testing.T) {
	page, checked := read(t, "docs/limits.md"), 0
	known := map[string]map[string]constant.Value{}
	for _, m := range limitRow.FindAllStringSubmatch(page, -1) {
		what, pkg, name := m[1], m[4], m[5]
		if known[pkg] == nil {
			known[pkg] = constants(t, filepath.Join(root, "internal", filepath.FromSlash(pkg)))
		}
		stated, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(m[2]), " ", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		value := known[pkg][name]
		if value == nil {
			t.Errorf("%s: there is no constant %s.%s", what, pkg, name)
			continue
		}
		if is, exact := constant.Int64Val(constant.ToInt(value)); !exact || is != stated*units[m[3]] {
			t.Errorf("%s: the page says %d, and %s.%s is %s", what, stated*units[m[3]], pkg, name, value)
		}
		checked++
	}
	if rows := strings.Count(page, "` |\n"); checked != rows || rows < 20 {
		t.Errorf("%d of %d rows were understood", checked, rows)
	}
}

// constants returns those of a package, as far as they do not come from another
// one of ours.
func constants(t *testing.T, dir string) map[string]constant.Value {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	config := types.Config{Importer: onlyTime{importer.ForCompiler(fset, "source", nil)}, Error: func(error) {}, IgnoreFuncBodies: true}
	pkg, _ := config.Check(dir, fset, files, nil) // what it imports is not there, and no constant needs it
	out := map[string]constant.Value{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Val().Kind() != constant.Unknown {
			out[name] = c.Val()
		}
	}
	return out
}

// onlyTime imports time and nothing else.
type onlyTime struct{ types.Importer }

func (i onlyTime) Import(path string) (*types.Package, error) {
	if path == "time" {
		return i.Importer.Import(path)
	}
	return nil, fs.ErrNotExist
}
