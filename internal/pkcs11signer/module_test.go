//go:build linux && cgo

package pkcs11signer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

const anyKey = "pkcs11:token=lab;object=p256"

// build compiles a library; cgo needs the compiler anyway.
func build(t *testing.T, dir, name, source string, args ...string) string {
	t.Helper()
	c, so := filepath.Join(dir, name+".c"), filepath.Join(dir, name+".so")
	if err := os.WriteFile(c, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cc", append([]string{"-shared", "-fPIC", "-o", so, c}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return so
}

func TestBadModules(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign, err := os.ReadFile(lab.Module)
	if err != nil {
		t.Fatal(err)
	}
	foreign[18], foreign[19] = 243, 0 // e_machine: RISC-V
	build(t, dir, "libabsent", "int absent(void) { return 0; }", "-Wl,-soname,libabsent.so.7")
	dependent := build(t, dir, "dependent", "int absent(void); int f(void) { return absent(); }", "-L"+dir, "-labsent")
	build(t, dir, "libmusl", "int puts(void);", "-nostdlib", "-Wl,-soname,libc.musl-x86_64.so.1")
	musl := build(t, dir, "musl", "int f(void) { return 0; }", "-nostdlib", "-Wl,--no-as-needed", "-L"+dir, "-lmusl")

	const list = "unsigned long C_GetFunctionList(void **list) "
	for path, want := range map[string]string{
		write("text.so", []byte("INPUT(libx.so)\n")): "not an ELF shared library",
		write("empty.so", nil):                       "not an ELF shared library",
		write("riscv.so", foreign):                   "built for RISCV (64 bit) and this signgate for",
		musl:                                         "a musl library but this signgate uses glibc",
		dependent:                                    "it needs libabsent.so.7, absent from this system",
		build(t, dir, "plain", "int f(void) { return 0; }"):                     "no function C_GetFunctionList",
		build(t, dir, "undefined", "int g(void); int f(void) { return g(); }"):  "undefined symbol: g",
		build(t, dir, "failing", list+"{ return 5; }"):                          "C_GetFunctionList returned CKR_GENERAL_ERROR",
		build(t, dir, "nolist", list+"{ return 0; }"):                           "returned no list",
		build(t, dir, "holes", "void *l[70]; "+list+"{ *list = l; return 0; }"): "lacks functions",
		dir:                             "not a regular file",
		write("loop.so", nil) + "/x.so": "cannot be read",
		build(t, dir, "stop", "unsigned long s(void *a) { return 5; } struct { char v[2]; void *f[68]; } l; "+
			list+"{ for (int i = 0; i < 68; i++) l.f[i] = s; *list = &l; return 0; }"): "does not start: C_Initialize returned CKR_GENERAL_ERROR",
	} {
		t.Run(want, func(t *testing.T) {
			outcome, code := fault.Config, "pkcs11_module_unusable"
			if filepath.Base(path) == "stop.so" {
				outcome, code = fault.Undecided, "pkcs11_device"
			}
			refuse(t, anyKey, Options{Module: path, PIN: labPIN}, outcome, code, want)
		})
	}
}

func TestModulePath(t *testing.T) {
	missing := Options{Module: "/no/such/libx.so", PIN: labPIN}
	refuse(t, anyKey, missing, fault.Config, "pkcs11_module_missing", "/no/such/libx.so does not exist")
	refuse(t, anyKey, Options{PIN: labPIN}, fault.Config, "pkcs11_module_missing", "set pkcs11-module")
	refuse(t, anyKey, Options{Module: "libsofthsm2.so"}, fault.Config, "pkcs11_module_invalid", "not absolute")
	refuse(t, anyKey+"?module-path=/usr/bin/env", Options{Module: lab.Module}, fault.Config, "pkcs11_module_invalid", "give the module once")
	refuse(t, anyKey+"?module-name=opensc", Options{Module: lab.Module}, fault.Config, "pkcs11_module_invalid", "module-name=opensc")
	openWith(t, anyKey+"?module-name=softhsm2&module-path="+lab.Module, Options{Module: lab.Module, PIN: labPIN})
	openWith(t, anyKey+"?module-path="+lab.Module, Options{PIN: labPIN})
}

// Neither the path nor a link on the way may be in the workspace.
func TestModuleInWorkspace(t *testing.T) {
	workspace, outside := t.TempDir(), t.TempDir()
	link := func(from, to string) string {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
		return from
	}
	inside := link(filepath.Join(workspace, "p11.so"), lab.Module)
	for _, path := range []string{
		inside,
		link(filepath.Join(outside, "chain.so"), inside),
		link(filepath.Join(outside, "dir"), workspace) + "/p11.so",
		workspace + "/../" + filepath.Base(workspace) + "/p11.so",
	} {
		opts := Options{Module: path, PIN: labPIN, Workspace: workspace}
		refuse(t, anyKey, opts, fault.Config, "pkcs11_module_in_workspace", "pkcs11-allow-workspace-module")
		refuse(t, anyKey+"?module-path="+path, Options{Workspace: workspace}, fault.Config, "pkcs11_module_in_workspace")
		opts.AllowWorkspaceModule = true
		openWith(t, anyKey, opts)
	}
	alias := link(filepath.Join(outside, "alias"), workspace)
	refuse(t, anyKey, Options{Module: inside, Workspace: alias}, fault.Config, "pkcs11_module_in_workspace")
	openWith(t, anyKey, Options{Module: lab.Module, PIN: labPIN, Workspace: workspace})
	t.Chdir(workspace)
	refuse(t, anyKey, Options{Module: inside, Workspace: "."}, fault.Config, "pkcs11_module_in_workspace")

	loop := link(filepath.Join(outside, "loop.so"), filepath.Join(outside, "loop.so"))
	refuse(t, anyKey, Options{Module: loop}, fault.Config, "pkcs11_module_unusable", "too many symbolic links")
}

func resolved(t *testing.T) string {
	t.Helper()
	path, err := Options{Module: lab.Module}.modulePath(URI{})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// One module by two names is one module, and one that somebody else has
// initialised is adopted.
func TestModuleOnce(t *testing.T) {
	a := open(t, anyKey)
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.Symlink(lab.Module, other); err != nil {
		t.Fatal(err)
	}
	b := openWith(t, anyKey, Options{Module: other, PIN: labPIN})
	if a.backend.(*tokenKey).conn.module != b.backend.(*tokenKey).conn.module {
		t.Error("two names made two modules")
	}
	adopted, err := startModule(start{path: resolved(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adopted.selectToken(URI{Token: "lab"}); err != nil {
		t.Error(err)
	}
}
