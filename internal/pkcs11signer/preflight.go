//go:build linux && cgo

package pkcs11signer

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// self is this program, whose architecture and C library a module has to share.
const self = "/proc/self/exe"

// inspect finds out why a file cannot be a module of this process without
// running any of it.
func inspect(path string) error {
	f, err := elf.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return unreadable(path, err)
	}
	if err != nil {
		return unusable(path, "give the path of the vendor's shared library", "it is not an ELF shared library: %v", cause(err))
	}
	defer f.Close()
	own, err := elf.Open(self)
	if err != nil {
		return nil // no /proc: the loader will tell
	}
	defer own.Close()
	if f.Machine != own.Machine || f.Class != own.Class || f.Data != own.Data {
		return unusable(path, "install the vendor's package for this architecture, or use the signgate build for the module's",
			"it is built for %s and this signgate for %s", platform(f), platform(own))
	}
	if theirs, ours := libc(f), libc(own); theirs != "" && ours != "" && theirs != ours {
		return unusable(path, "use the signgate build, or the vendor's library, for the other C library",
			"it is a %s library but this signgate uses %s", theirs, ours)
	}
	return nil
}

func platform(f *elf.File) string {
	return strings.TrimPrefix(f.Machine.String(), "EM_") + " (" + strings.TrimPrefix(f.Class.String(), "ELFCLASS") + " bit)"
}

// libc names the C library that f is linked with, or returns "".
func libc(f *elf.File) string {
	needed, _ := f.ImportedLibraries()
	for _, lib := range append(needed, interpreter(f)) {
		switch {
		case lib == "libc.so.6", strings.HasPrefix(lib, "ld-linux"):
			return "glibc"
		case lib == "libc.so", strings.HasPrefix(lib, "libc.musl-"), strings.HasPrefix(lib, "ld-musl-"):
			return "musl"
		}
	}
	return ""
}

// interpreter returns the name of the program loader that f asks for.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err == nil {
			return filepath.Base(strings.TrimRight(string(name), "\x00"))
		}
	}
	return ""
}

// missing returns the libraries that the module needs and the loader cannot
// find. It is asked only after loading failed.
func missing(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	needed, _ := f.ImportedLibraries()
	var absent []string
	for _, lib := range needed {
		if !beside(f, path, lib) && !loadable(lib) {
			absent = append(absent, lib)
		}
	}
	return absent
}

// beside reports whether lib is in one of the directories that the module
// itself names for its dependencies.
func beside(f *elf.File, path, lib string) bool {
	runpath, _ := f.DynString(elf.DT_RUNPATH)
	rpath, _ := f.DynString(elf.DT_RPATH)
	for _, list := range append(runpath, rpath...) {
		for _, dir := range filepath.SplitList(list) {
			dir = strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path)).Replace(dir)
			if _, err := os.Stat(filepath.Join(dir, lib)); err == nil {
				return true
			}
		}
	}
	return false
}

func unusable(path, next, format string, args ...any) error {
	return fault.Configf("pkcs11_module_unusable", next, "cannot load the PKCS#11 module "+strings.ReplaceAll(path, "%", "%%")+": "+format, args...)
}
