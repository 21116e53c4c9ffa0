// Package faultmodule makes PKCS#11 modules that fail on purpose, for tests.
//
// Such a module is a small shim in C (folder shim) around a real module. It
// passes every call on, but for the faults that its Script asks for, and counts
// what it sees. Test and module share the script as memory, so a fault can begin
// and end at any moment, and what the shim counts can be read at any moment:
//
//	m, err := faultmodule.New(ctx, dir, "/usr/lib/softhsm/libsofthsm2.so")
//	m.SessionLimit.Store(2)
//	m.Calls[faultmodule.Sign].Fail(deviceError, 1)
//	… use m.Path as the module …
//	if m.Most.Load() > 2 { … }
//
// Each Module is a library of its own to the loader, with its own copy of the
// real one, so its sessions, its login and its faults are nobody else's, even in
// one process. Processes that load the same Path share the script, and with it
// the counter of wrong PINs, as they share a token.
//
// Handles of sessions and objects are the shim's: they change with each death of
// the device and never come twice.
//
// Building needs a C compiler. The package uses no cgo and does not import
// testing.
package faultmodule

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"unsafe"
)

// Module is a module that fails as its Script says.
type Module struct {
	*Script
	Path string // the absolute path of the library
}

// New makes a module around the real one in the directory dir, which is used
// for nothing else and may be removed once the module is loaded.
func New(ctx context.Context, dir, real string) (*Module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	shim, err := compiled(ctx)
	if err != nil {
		return nil, err
	}
	library, err := os.ReadFile(real)
	if err != nil {
		return nil, fmt.Errorf("reading the real module: %w", err)
	}
	m := &Module{Path: filepath.Join(dir, "fault.so")}
	if m.Script, err = share(filepath.Join(dir, "script")); err != nil {
		return nil, err
	}
	m.store.Set(real + "\x00")
	if err := os.WriteFile(filepath.Join(dir, "real.so"), library, 0o600); err != nil {
		return nil, err
	}
	return m, os.WriteFile(m.Path, shim, 0o600)
}

// Find returns the script of the module at path, which New made in this or
// another process.
func Find(path string) (*Module, error) {
	script, err := share(filepath.Join(filepath.Dir(path), "script"))
	return &Module{script, path}, err
}

// share maps the script at path. It stays mapped until the process ends, since
// the module may use it as long.
func share(path string) (*Script, error) {
	size := int(unsafe.Sizeof(Script{}))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	memory, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the script: %w", err)
	}
	return (*Script)(unsafe.Pointer(&memory[0])), nil
}

//go:embed shim
var source embed.FS

var built struct {
	sync.Mutex
	library []byte
}

// compiled returns the shim, which is compiled once in a process.
func compiled(ctx context.Context) ([]byte, error) {
	built.Lock()
	defer built.Unlock()
	if built.library != nil {
		return built.library, nil
	}
	dir, err := os.MkdirTemp("", "signgate-shim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	built.library, err = compile(ctx, dir)
	return built.library, err
}

func compile(ctx context.Context, dir string) ([]byte, error) {
	if err := os.CopyFS(dir, source); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "shim", "*.c"))
	if err != nil {
		return nil, err
	}
	library := filepath.Join(dir, "shim.so")
	size := fmt.Sprintf("-DSCRIPT_SIZE=%d", unsafe.Sizeof(Script{}))
	args := append([]string{"-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", size, "-o", library}, files...)
	out, err := exec.CommandContext(ctx, "cc", append(args, "-ldl")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("compiling the shim with cc: %w\n%s", err, out)
	}
	return os.ReadFile(library)
}
