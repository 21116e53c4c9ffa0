package actions_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/signgate/signgate/internal/actions"
)

func workspace(t *testing.T) (*actions.Runner, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "ws")
	mkdir(t, root)
	r, _, _ := inActions(t, map[string]string{"GITHUB_WORKSPACE": root, "GITHUB_REPOSITORY": "o/app"})
	return r, root
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestWorkspacePath(t *testing.T) {
	r, root := workspace(t)
	mkdir(t, filepath.Join(root, "real"))
	link(t, "real", filepath.Join(root, "inside"))
	for name, want := range map[string]string{
		"out":                        "out",
		"out/deep/x.json":            "out/deep/x.json",
		"a/../b":                     "b",
		".":                          "",
		"inside/new":                 "inside/new",
		filepath.Join(root, "out/x"): "out/x",
	} {
		got, err := r.WorkspacePath(name)
		if err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestWorkspacePathRefusesEscapes(t *testing.T) {
	r, root := workspace(t)
	outside := t.TempDir()
	link(t, outside, filepath.Join(root, "out"))
	link(t, filepath.Join(outside, "later"), filepath.Join(root, "dangling"))
	link(t, "loop", filepath.Join(root, "loop"))
	write(t, filepath.Join(root, "file"), "")
	for _, name := range []string{"..", "../x", "a/../../x", "/etc/x", root + "x", "out", "out/x/y", "dangling", "dangling/x", "loop/x", "file/x"} {
		_, err := r.WorkspacePath(name)
		wantCode(t, err, "workspace_path_invalid")
	}
	r, _, _ = inActions(t, nil)
	_, err := r.WorkspacePath("out")
	wantCode(t, err, "workspace_missing")
}

func TestWorkspacePathOutsideActionsIsFree(t *testing.T) {
	r, _ := runner(nil)
	if got, err := r.WorkspacePath("/tmp/x"); err != nil || got != "/tmp/x" {
		t.Error(got, err)
	}
	if got := r.RelativePath("/tmp/x"); got != "/tmp/x" {
		t.Error(got)
	}
}

func TestRelativePath(t *testing.T) {
	r, root := workspace(t)
	for path, want := range map[string]string{
		filepath.Join(root, "out", "x.json"): "out/x.json",
		"/elsewhere/x":                       "/elsewhere/x",
		root + "-other/x":                    root + "-other/x",
	} {
		if got := r.RelativePath(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestTranslatePath(t *testing.T) {
	github := t.TempDir()
	mkdir(t, filepath.Join(github, "runner_temp"))
	mkdir(t, filepath.Join(github, "workspace"))
	here := t.TempDir()
	r, _, _ := inActions(t, map[string]string{"RUNNER_TEMP": "/host/tmp/", "GITHUB_REPOSITORY": "o/app"})
	r.SetMount(github)
	for path, want := range map[string]string{
		"/host/tmp/a.pem":              github + "/runner_temp/a.pem",
		"/__w/_temp/.docker/x":         github + "/runner_temp/.docker/x",
		"/home/runner/work/_temp/x":    github + "/runner_temp/x",
		"/__w/app/app/policy.yaml":     github + "/workspace/policy.yaml",
		"/home/runner/work/app/app/p":  github + "/workspace/p",
		"/__w/_temp/../../etc/passwd":  "/__w/_temp/../../etc/passwd",
		"/__w/_tempest/x":              "/__w/_tempest/x",
		"/__w/other/other/policy.yaml": "/__w/other/other/policy.yaml",
		"/host/tmpx":                   "/host/tmpx",
		"relative/x":                   "relative/x",
		here:                           here,
		"":                             "",
	} {
		if got := r.TranslatePath(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	r.SetMount("/nonexistent")
	if got := r.TranslatePath("/__w/_temp/x"); got != "/__w/_temp/x" {
		t.Errorf("translated to a folder that is not mounted: %s", got)
	}
}

func TestInWorkspace(t *testing.T) {
	r, root := workspace(t)
	link(t, "/etc", filepath.Join(root, "out"))
	for path, want := range map[string]bool{
		filepath.Join(root, "keys", "release.pub"):  true,
		filepath.Join(root, "out", "release.pub"):   true,
		filepath.Join(root, "..", "release.pub"):    false,
		filepath.Join(root, "a", "..", "..", "key"): false,
		"/etc/release.pub":                          false,
	} {
		if got := r.InWorkspace(path); got != want {
			t.Errorf("InWorkspace(%q) = %v, want %v", path, got, want)
		}
	}
}

// TestInWorkspaceByLinks: neither a link to the workspace nor one into it hides
// that a file is in it.
func TestInWorkspaceByLinks(t *testing.T) {
	dir := t.TempDir()
	real, link, into := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "into")
	for _, err := range []error{os.Mkdir(real, 0o755), os.WriteFile(filepath.Join(real, "p.yaml"), nil, 0o644), os.Symlink(real, link), os.Symlink(filepath.Join(real, "p.yaml"), into)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{real, link} {
		getenv := func(name string) string {
			return map[string]string{"GITHUB_WORKSPACE": root, "GITHUB_ACTIONS": "true"}[name]
		}
		r := actions.New(getenv, nil, io.Discard)
		for path, want := range map[string]bool{
			filepath.Join(real, "p.yaml"): true, filepath.Join(link, "p.yaml"): true, into: true,
			filepath.Join(link, "new"): true, filepath.Join(dir, "new"): false, "/etc/passwd": false,
		} {
			if got := r.InWorkspace(path); got != want {
				t.Errorf("with the workspace %s, InWorkspace(%s) = %t", root, path, got)
			}
		}
	}
}
