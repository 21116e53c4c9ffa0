package actions_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func owner(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

// As root, which a container action is, the owner of the workspace gets what
// is new. As anybody else there is nothing to hand over, and nothing changes.
func TestNewFilesBelongToTheOwnerOfTheWorkspace(t *testing.T) {
	old, heir := uint32(os.Geteuid()), uint32(os.Geteuid())
	r, root := workspace(t)
	mkdir(t, filepath.Join(root, "old"))
	if os.Geteuid() == 0 {
		heir = 1001
		if err := os.Chown(root, 1001, 1001); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(root, "old", "new", "newer")
	if err := r.MkdirAll(deep); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(deep, "report.json")
	write(t, file, "{}")
	r.Chown(file)
	for path, want := range map[string]uint32{filepath.Join(root, "old"): old, filepath.Dir(deep): heir, deep: heir, file: heir} {
		if got := owner(t, path); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
	r.Chown(filepath.Join(root, "none")) // best effort
	wantCode(t, r.MkdirAll(filepath.Join(file, "x")), "workspace_path_invalid")
}
