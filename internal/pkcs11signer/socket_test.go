//go:build linux && cgo

package pkcs11signer

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

// listen makes a socket that somebody listens at.
func listen(t *testing.T) (path string, l *net.UnixListener) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "p11.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path, l
}

func TestSocket(t *testing.T) {
	good, _ := listen(t)
	if err := checkSocket(good); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path    string
		outcome fault.Outcome
		code    string
		says    string
	}{
		{"unix:path=" + good, fault.Config, "pkcs11_socket_invalid", "the bare path of the socket"},
		{filepath.Dir(good) + "/no/p11.sock", fault.Config, "pkcs11_socket_unreachable", "does not exist, but " + filepath.Dir(good) + " does"},
		{"/home-of-the-host/p11.sock", fault.Config, "pkcs11_socket_unreachable", "nor does any folder on its way"},
		{file, fault.Config, "pkcs11_socket_invalid", "which is not a socket (exists, mode 0640"},
		{file + "/p11.sock", fault.Config, "pkcs11_socket_unreachable", "cannot be looked at: not a directory"},
	} {
		refuse(t, anyKey, Options{Socket: c.path, Module: lab.Module, PIN: labPIN}, c.outcome, c.code, c.says)
	}
}

func TestSocketPathTooLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	l, err := net.Listen("unix", "p11.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check(t, checkSocket(dir+"/p11.sock"), fault.Config, "pkcs11_socket_invalid", "longer than the 107 bytes")
}

// The client of p11-kit says that it is not connected, and we say why.
func TestSocketOfTheDead(t *testing.T) {
	path, l := listen(t)
	l.SetUnlinkOnClose(false)
	l.Close()
	empty := faultModule(t)
	empty.Remove()
	m, err := modules.load(t.Context(), start{path: empty.Path})
	if err != nil {
		t.Fatal(err)
	}
	m.socket, m.info.LibraryDescription = path, "p11-kit (no connection)"
	_, err = m.open(t.Context(), URI{Token: "lab"}, labPIN, Options{})
	check(t, err, fault.Undecided, "pkcs11_socket_unreachable", "nobody listens at "+path+" any more")
	alive, _ := listen(t)
	m.socket = alive
	_, err = m.open(t.Context(), URI{Token: "lab"}, labPIN, Options{})
	check(t, err, fault.Config, "pkcs11_socket_unreachable", "p11-kit-client is not connected to "+alive+" (exists, mode 0755", "--user or --group")
}

// Another user than the owner gets no error from p11-kit's client, so the check
// is ours. Root may connect anywhere, so it tries as nobody.
func TestSocketOfAnother(t *testing.T) {
	if path := os.Getenv("SIGNGATE_TEST_SOCKET"); path != "" {
		check(t, checkSocket(path), fault.Config, "pkcs11_socket_unreachable",
			"no tokens: the p11-kit server at "+path+" lets nobody in but its owner (exists, mode 0711, owner 0; running as 65534)")
		return
	}
	if os.Getuid() != 0 {
		path, _ := listen(t)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		check(t, checkSocket(path), fault.Config, "pkcs11_socket_unreachable", "lets nobody in but its owner (exists, mode 0000")
		return
	}
	dir, err := os.MkdirTemp("/tmp", "signgate-socket-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "p11.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	program := filepath.Join(dir, "test")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Chmod(path, 0o711), copyFile(program, self)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run", "^TestSocketOfAnother$")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "SIGNGATE_TEST_SOCKET="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func TestSocketNeedsTheClient(t *testing.T) {
	path, _ := listen(t)
	refuse(t, anyKey, Options{Socket: path, Module: lab.Module, PIN: labPIN}, fault.Config, "pkcs11_socket_invalid",
		"works through p11-kit-client.so, but the module is "+resolved(t), "leave pkcs11-module")
}

// What a module is started with holds for the process.
func TestModuleStartedOtherwise(t *testing.T) {
	open(t, anyKey)
	refuse(t, anyKey, Options{Module: lab.Module, PIN: labPIN, InitArgs: "other"}, fault.Config, "pkcs11_module_invalid", "with another socket or another argument")
}
