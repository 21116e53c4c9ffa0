// Command sizes prints how large the stripped program is, and what each key
// backend adds to it: it builds the program once as it is, and once without
// each of them; PKCS#11 is what a build without cgo lacks. With -write it puts the table into docs/benchmarks.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// limit is the size that the design allows, in bytes.
const limit = 25 << 20

const source = "internal/cli/backends.go"

func main() {
	write := flag.Bool("write", false, "put the table into docs/benchmarks.md")
	flag.Parse()
	if err := run(*write); err != nil {
		log.Fatal("sizes: ", err)
	}
}

func run(write bool) error {
	dir, err := os.MkdirTemp("", "signgate-sizes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	table, err := measure(dir)
	if err != nil {
		return err
	}
	fmt.Print(table)
	if !write {
		return nil
	}
	return put("docs/benchmarks.md", table)
}

func measure(dir string) (string, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	whole, err := size(dir, string(text))
	if err != nil {
		return "", err
	}
	if whole > limit {
		return "", fmt.Errorf("the program has %d bytes, more than %d", whole, limit)
	}
	table := fmt.Sprintf("| program, stripped | MB |\n|---|---|\n| all backends and registry credentials | %.1f |\n", mega(whole))
	for _, b := range []struct{ pkg, name string }{
		{"awskms", "AWS KMS; its SDK stays for ECR's credentials"}, {"gcpkms", "Google Cloud KMS"}, {"azurekms", "Azure Key Vault"},
		{"hashivault", "Vault, OpenBao"},
	} {
		without, err := size(dir, remove(string(text), b.pkg))
		if err != nil {
			return "", fmt.Errorf("without %s: %w", b.pkg, err)
		}
		table += fmt.Sprintf("| of that %s | %.1f |\n", b.name, mega(whole-without))
	}
	without, err := size(dir, string(text), "CGO_ENABLED=0")
	if err != nil {
		return "", fmt.Errorf("without cgo: %w", err)
	}
	return table + fmt.Sprintf("| of that PKCS#11 and cgo | %.1f |\n", mega(whole-without)), nil
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// remove takes a backend out of the one switch between them.
func remove(text, pkg string) string {
	for _, pattern := range []string{
		`(?m)^\t"[^"]*/` + pkg + `"\n`,
		`(?m)^\tcase signer\.\w+:\n\t\treturn ` + pkg + `\.\w+\([^\n]*\)\n`,
		`(?ms)^\tcase signer\.\w+:\n\t\treturn ` + pkg + `\.\w+\([^\n]*\{\n.*?^\t\t\}\)\n`,
		`(?ms)^func \(r \*run\) \w+\(\) ` + pkg + `\.Options \{\n.*?^\}\n`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, "")
	}
	return text
}

// size builds the program with text in place of the source.
func size(dir, text string, env ...string) (int64, error) {
	file, overlay, program := filepath.Join(dir, "backends.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "signgate")
	path, err := filepath.Abs(source)
	if err != nil {
		return 0, err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: file}})
	if err != nil {
		return 0, err
	}
	for name, data := range map[string][]byte{file: []byte(text), overlay: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return 0, err
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-overlay", overlay, "-o", program, "./cmd/signgate")
	build.Env = append(os.Environ(), env...)
	out, err := build.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// put replaces what is between the marks of a page.
func put(page, table string) error {
	const begin, end = "<!-- BEGIN sizes -->\n", "<!-- END sizes -->"
	data, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table", page)
	}
	return os.WriteFile(page, []byte(before+begin+table+end+after), 0o644)
}
