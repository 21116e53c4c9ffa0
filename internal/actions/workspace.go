package actions

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// WorkspacePath returns the absolute path of a file or folder that signgate is
// to write, which in Actions must be inside the workspace: other places are
// not visible to later steps, and a name out of a pull request must not reach
// them. Neither ".." nor a symbolic link in the workspace may lead out. The
// path need not exist. Outside Actions any path is good.
func (r *Runner) WorkspacePath(name string) (string, error) {
	if !r.Active() {
		return filepath.Abs(name)
	}
	root, err := r.workspace()
	if err != nil {
		return "", err
	}
	path := r.TranslatePath(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, path)
	}
	if path = filepath.Clean(path); !within(root, path) || !staysInside(root, path) {
		return "", fault.Configf("workspace_path_invalid", "give a path inside the workspace, without symbolic links out of it",
			"%q leads out of the workspace %s", name, root)
	}
	return path, nil
}

// RelativePath returns path relative to the workspace, with slashes, as it has
// to stand in an output: the runner does not translate container paths back.
// A path outside the workspace is returned as it is.
func (r *Runner) RelativePath(path string) string {
	root, err := r.workspace()
	if err != nil || !r.Active() || !within(root, path) {
		return path
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// InWorkspace reports whether a path names something in the workspace, by its
// name or by where it leads: a link in the workspace is in it, and so is what a
// link from outside leads to. Without a workspace nothing is.
func (r *Runner) InWorkspace(path string) bool {
	root, err := r.workspace()
	if err != nil {
		return false
	}
	abs, err := filepath.Abs(r.TranslatePath(path))
	if err != nil || within(root, abs) {
		return true
	}
	return within(followed(root), followed(abs)) || within(followed(root), abs)
}

// followed returns where a path leads, as far as it exists.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(followed(dir), filepath.Base(path))
	}
	return path
}

// MkdirAll makes a folder and its parents, and gives those that it made to the
// owner of the workspace (see Chown).
func (r *Runner) MkdirAll(path string) error {
	missing := missingFolders(path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fault.Configf("workspace_path_invalid", "give a path that can be written", "making folder %s: %w", path, err)
	}
	for _, folder := range missing {
		r.Chown(folder)
	}
	return nil
}

func (r *Runner) workspace() (string, error) {
	root := r.getenv("GITHUB_WORKSPACE")
	if root == "" || !filepath.IsAbs(root) {
		return "", fault.Configf("workspace_missing", "keep GITHUB_WORKSPACE as the runner set it",
			"GITHUB_WORKSPACE is %q, which is not an absolute path", root)
	}
	return filepath.Clean(root), nil
}

// within is about names only.
func within(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

// staysInside resolves what exists of path and compares it with root. Lstat
// decides what exists, so that a dangling link counts, and is refused.
func staysInside(root, path string) bool {
	realRoot, err := filepath.EvalSymlinks(root)
	if err != nil {
		return false
	}
	for {
		_, err := os.Lstat(path)
		if err == nil {
			real, err := filepath.EvalSymlinks(path)
			return err == nil && within(realRoot, real)
		}
		if !errors.Is(err, fs.ErrNotExist) || path == root {
			return false
		}
		path = filepath.Dir(path)
	}
}

func missingFolders(path string) []string {
	var missing []string
	for !exists(path) {
		missing = append(missing, path)
		parent := filepath.Dir(path)
		if parent == path {
			break
		}
		path = parent
	}
	return missing
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TranslatePath returns where a path of the host is in this container. The
// runner rewrites only values that begin with a path it maps: not later lines
// of a list, not what stands inside a URI, and not the paths of a job that has
// a container of its own (/__w). A path that exists, or that is under no known
// folder, is returned as it is.
func (r *Runner) TranslatePath(path string) string {
	if !r.Active() || path == "" || exists(path) {
		return path
	}
	for _, m := range r.mounts() {
		rest, ok := strings.CutPrefix(path, m.host+"/")
		if ok && filepath.IsLocal(rest) && exists(m.container) {
			return filepath.Join(m.container, rest)
		}
	}
	return path
}

type mount struct{ host, container string }

// mounts lists the host folders that the runner may have meant, with the usual
// work folders of GitHub's machines and of job containers.
func (r *Runner) mounts() []mount {
	temp, workspace := r.mount+"/runner_temp", r.mount+"/workspace"
	list := []mount{{"/__w/_temp", temp}, {"/home/runner/work/_temp", temp}}
	if own := strings.TrimRight(r.getenv("RUNNER_TEMP"), "/"); own != "" {
		list = append(list, mount{own, temp})
	}
	if _, repo, ok := strings.Cut(r.getenv("GITHUB_REPOSITORY"), "/"); ok && repo != "" {
		folder := repo + "/" + repo
		list = append(list, mount{"/__w/" + folder, workspace}, mount{"/home/runner/work/" + folder, workspace})
	}
	return list
}
