package actions

import (
	"os"
	"syscall"
)

// Chown gives path, and nothing below it, to the owner of the workspace. A
// container action runs as root, and files of root in the workspace break the
// clean-up of self-hosted runners. It does nothing when the process is not
// root or not in Actions, and a failure is no failure of the run.
func (r *Runner) Chown(path string) {
	root, err := r.workspace()
	if err != nil || !r.Active() || os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(root)
	if err != nil {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(path, int(owner.Uid), int(owner.Gid))
	}
}
