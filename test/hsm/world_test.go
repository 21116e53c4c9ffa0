package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"
)

// worldVariable tells the second process of a run its directory.
const worldVariable = "SIGNGATE_HSM_WORLD"

// runInWorld runs this program once more, in namespaces of its own. The
// processes in them end with the run, however it ends; so do its mounts, its
// shared memory and its network. Two runs do not meet, and the system-wide
// tokens of opencryptoki stay as they are.
func runInWorld() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("/tmp", "signgate-hsm-") // short enough for sockets, and where AppArmor lets swtpm write
	if err != nil {
		return 0, err
	}
	defer os.Remove(dir) // what is in it is mounted inside only
	runtime.LockOSThread()
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), worldVariable+"="+dir)
	var said bytes.Buffer // several modules talk of what is tried here on purpose
	cmd.Stdout, cmd.Stderr = os.Stdout, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, // follows the thread, hence the lock
	}
	code, err := exitCode(cmd.Run())
	if code != 0 || err != nil {
		os.Stderr.Write(said.Bytes())
	}
	return code, err
}

func exitCode(err error) (int, error) {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() > 0 {
			return exit.ExitCode(), nil
		}
		return 0, fmt.Errorf("the tests ended with %w", err)
	}
	if errors.Is(err, os.ErrPermission) {
		return 0, fmt.Errorf("%w: the suite needs root, for namespaces of its own; run: make hsm", err)
	}
	return 0, err
}

// enter makes the namespaces ready. Nothing that is mounted here is seen
// outside.
func enter(dir string) error {
	for _, m := range []struct {
		target, kind string
		flags        uintptr
		data         string
	}{
		{"/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"/proc", "proc", 0, ""},
		{"/dev/shm", "tmpfs", 0, "mode=1777"},
		{dir, "tmpfs", 0, "mode=0700"},
	} {
		if err := syscall.Mount("none", m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return err
	}
	return loopbackUp()
}

// loopbackUp switches on the network that only this run has.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq, netdevice(7)
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); e != 0 {
		return fmt.Errorf("switching on the loopback interface: %w", e)
	}
	return nil
}

// empty mounts an empty file system over a directory.
func empty(dir string) error {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting %s: %w", dir, err)
	}
	return nil
}

// emptyTree does the same and makes the folders again that were there, with
// their owners.
func emptyTree(root string) error {
	folders := map[string]os.FileInfo{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folders[path], err = d.Info()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := empty(root); err != nil {
		return err
	}
	for path, info := range folders {
		owner := info.Sys().(*syscall.Stat_t)
		if err := makeFolder(path, info.Mode().Perm(), int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return nil
}

func makeFolder(path string, mode os.FileMode, uid, gid int) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}
