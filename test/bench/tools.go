package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// tool is one of the two programs.
type tool string

// The two programs.
const (
	signgate tool = "signgate"
	cosign   tool = "cosign"
)

func (t tool) other() tool {
	if t == signgate {
		return cosign
	}
	return signgate
}

// tools is what runs the two programs.
type tools struct {
	dir      string // a folder for this run
	self     string // this program
	path     map[tool]string
	version  map[tool]string
	services string // the file that tells cosign to use no service of sigstore
	root     string // and the one that tells it to trust none
	help     string // of signgate sign
}

func newTools(ctx context.Context, dir, ours string) (*tools, error) {
	t := &tools{
		dir: dir, path: map[tool]string{}, version: map[tool]string{},
		services: filepath.Join(dir, "signing-config.json"), root: filepath.Join(dir, "trusted-root.json"),
	}
	var err error
	if t.self, err = os.Executable(); err != nil {
		return nil, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	if t.path[signgate], err = build(ctx, root, dir, ours); err != nil {
		return nil, err
	}
	if t.path[cosign], err = findCosign(ctx, root); err != nil {
		return nil, err
	}
	return t, t.ask(ctx)
}

func moduleRoot(ctx context.Context) (string, error) {
	file, err := output(exec.CommandContext(ctx, "go", "env", "GOMOD"))
	if err == nil && filepath.Base(file) != "go.mod" {
		err = fmt.Errorf("go env GOMOD prints %q; run this inside the repository", file)
	}
	return filepath.Dir(file), err
}

// build builds signgate as it is released, unless there is one.
func build(ctx context.Context, root, dir, ours string) (string, error) {
	if ours != "" {
		return exec.LookPath(ours)
	}
	path := filepath.Join(dir, string(signgate))
	describe := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	describe.Dir = root
	version, err := output(describe)
	if err != nil {
		version = "dev" // as make build has it, outside of a clone
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-o", path, "./cmd/signgate")
	cmd.Dir = root
	_, err = output(cmd)
	return path, err
}

func findCosign(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "test", "setup", "peers.sh"), "cosign-v3")
	dir, err := output(cmd)
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(dir, "cosign-v3"))
}

// output returns what a command prints, without the end of its last line.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// ask asks the programs for what the lines need to know.
func (t *tools) ask(ctx context.Context) error {
	for kind, file := range map[string]string{"signing-config": t.services, "trusted-root": t.root} {
		if _, err := t.must(ctx, command{path: t.path[cosign], args: []string{kind, "create", "--out", file}}); err != nil {
			return err
		}
	}
	help, err := t.must(ctx, command{path: t.path[signgate], args: []string{"sign", "--help"}})
	if err != nil {
		return err
	}
	t.help = help.stdout
	return t.askVersions(ctx)
}

func (t *tools) askVersions(ctx context.Context) error {
	forms := map[tool]*regexp.Regexp{signgate: regexp.MustCompile(`^(\S+)\s*$`), cosign: regexp.MustCompile(`GitVersion:\s+(\S+)`)}
	for name, form := range forms {
		said, err := t.must(ctx, command{path: t.path[name], args: []string{"version"}})
		if err != nil {
			return err
		}
		m := form.FindStringSubmatch(said.stdout)
		if m == nil {
			return fmt.Errorf("there is no version in what %s prints:\n%s", name, said.stdout)
		}
		t.version[name] = m[1]
	}
	return nil
}

// takes reports whether signgate sign has a flag.
func (t *tools) takes(flag string) bool {
	return regexp.MustCompile(`(?m)^\s*--` + regexp.QuoteMeta(flag) + `\b`).MatchString(t.help)
}
