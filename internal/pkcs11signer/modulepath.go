//go:build linux && cgo

package pkcs11signer

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/signgate/signgate/internal/fault"
)

const moduleExample = "set pkcs11-module to the absolute path of the vendor's library, for example /usr/lib/softhsm/libsofthsm2.so"

// modulePath returns the resolved path of the module that the options and the
// URI agree on.
func (o Options) modulePath(u URI) (string, error) {
	given := cmp.Or(o.Module, u.ModulePath)
	if given == "" && o.Socket != "" {
		var err error
		if given, err = findClient(); err != nil {
			return "", err
		}
	}
	if given == "" {
		return "", fault.Configf("pkcs11_module_missing", moduleExample, "no PKCS#11 module was given for the key %s", u)
	}
	path, err := o.resolve(given)
	if err != nil {
		return "", err
	}
	if err := o.agrees(path, u); err != nil {
		return "", err
	}
	return path, nil
}

// agrees checks that module-path and module-name of the URI name the module
// at path too.
func (o Options) agrees(path string, u URI) error {
	if o.Module != "" && u.ModulePath != "" {
		other, err := o.resolve(u.ModulePath)
		if err != nil {
			return err
		}
		if other != path {
			return fault.Configf("pkcs11_module_invalid", "give the module once", "pkcs11-module is %s, but module-path of the key URI is %s", path, other)
		}
	}
	name, _, _ := strings.Cut(filepath.Base(path), ".so")
	if u.ModuleName != "" && u.ModuleName != name && "lib"+u.ModuleName != name {
		return fault.Configf("pkcs11_module_invalid", "leave module-name out",
			"module-name=%s of the key URI is not the module %s", escape(u.ModuleName, ""), path)
	}
	return nil
}

// resolve follows every symbolic link to the module's file, and refuses a path
// that touches the workspace on its way.
func (o Options) resolve(given string) (string, error) {
	if !filepath.IsAbs(given) {
		return "", fault.Configf("pkcs11_module_invalid", moduleExample, "the PKCS#11 module path %q is not absolute", given)
	}
	path, rest := "/", parts(filepath.Clean(given))
	for links := 0; len(rest) > 0; {
		next := filepath.Join(path, rest[0])
		if err := o.checkWorkspace(next); err != nil {
			return "", err
		}
		target, err := os.Readlink(next)
		switch {
		case errors.Is(err, syscall.EINVAL): // no link
			path, rest = next, rest[1:]
			continue
		case err != nil:
			return "", unreadable(given, err)
		case filepath.IsAbs(target):
			path = "/"
		}
		rest = append(parts(target), rest[1:]...)
		if links++; links > 40 { // as many as Linux follows
			return "", fault.Configf("pkcs11_module_unusable", moduleExample, "the PKCS#11 module %s is a chain of too many symbolic links", given)
		}
	}
	return path, checkFile(given, path)
}

// parts are the components of a path; ".." stays, for the place where it stands.
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(p string) bool { return p == "" || p == "." })
}

func checkFile(given, path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return unreadable(given, err)
	case !info.Mode().IsRegular():
		return fault.Configf("pkcs11_module_unusable", moduleExample, "the PKCS#11 module %s is not a regular file", given)
	}
	return nil
}

func unreadable(given string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Configf("pkcs11_module_missing", "install the vendor's package in this image or correct the path",
			"the PKCS#11 module %s does not exist", given)
	}
	return fault.Configf("pkcs11_module_unusable", "check the path and its permissions", "the PKCS#11 module %s cannot be read: %v", given, cause(err))
}

// checkWorkspace refuses native code that anyone who can change the repository
// could have put there.
func (o Options) checkWorkspace(path string) error {
	if o.Workspace == "" || o.AllowWorkspaceModule {
		return nil
	}
	root, _ := filepath.Abs(o.Workspace)
	roots := []string{root}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		roots = append(roots, real)
	}
	for _, root := range roots {
		rel, err := filepath.Rel(root, path)
		if err != nil || rel != ".." && !strings.HasPrefix(rel, "../") {
			return fault.Configf("pkcs11_module_in_workspace", "install the module outside the workspace, or set pkcs11-allow-workspace-module if you trust every file in it",
				"the PKCS#11 module path leads through the workspace (%s), and a module is native code that would run with the signing key", path)
		}
	}
	return nil
}
