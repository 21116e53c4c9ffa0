//go:build linux && cgo

package pkcs11signer

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// envSocket is where p11-kit's client looks for the address of its server.
const envSocket = "P11_KIT_SERVER_ADDRESS"

const (
	maxSocketPath = 107 // sun_path of sockaddr_un, but for the final NUL
	socketTime    = 5 * time.Second
	ownerHint     = "run as that user or as root, or let this one in on the host after the server has started (chgrp and chmod g+w)"
	startHint     = "start it before this step, for example with p11-kit server --provider MODULE --name SOCKET pkcs11:token=TOKEN, and give a path that the container sees: below $RUNNER_TEMP or in the workspace"
)

// clients are the places of p11-kit's client; the first is the container image's.
var clients = []string{
	"/usr/lib/pkcs11/p11-kit-client.so",
	"/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
	"/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
	"/usr/lib64/pkcs11/p11-kit-client.so",
}

// findClient returns the path of p11-kit's client.
func findClient() (string, error) {
	for _, path := range clients {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fault.Configf("pkcs11_module_missing", "install it (apt-get install p11-kit-modules), or use the signgate container image",
		"pkcs11-socket needs the module p11-kit-client.so, which is not on this system")
}

// checkSocket finds out, without connecting, why nobody would answer at the
// socket of a p11-kit server: each connection makes the server load the vendor's
// module once more. The client itself does not tell: without a server it is a
// module without tokens.
func checkSocket(path string) error {
	if !filepath.IsAbs(path) {
		return fault.Configf("pkcs11_socket_invalid", "give the bare path of the socket, without unix:path=",
			"pkcs11-socket is %q, which is not an absolute path", path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Configf("pkcs11_socket_unreachable", startHint, "there is no p11-kit server at %s (%s)", path, socketState(path))
	case err != nil:
		return fault.Configf("pkcs11_socket_unreachable", startHint, "the p11-kit server at %s cannot be reached (%s)", path, socketState(path))
	case info.Mode().Type() != fs.ModeSocket:
		return fault.Configf("pkcs11_socket_invalid", startHint, "pkcs11-socket is %s, which is not a socket (%s)", path, socketState(path))
	case len(path) > maxSocketPath:
		return fault.Configf("pkcs11_socket_invalid", "choose a shorter one", "the path %s is longer than the %d bytes that a socket's may have", path, maxSocketPath)
	case syscall.Access(path, 2) != nil: // W_OK, which connecting needs
		return fault.Configf("pkcs11_socket_unreachable", ownerHint, "no tokens: the p11-kit server at %s lets nobody in but its owner (%s)", path, socketState(path))
	}
	return nil
}

// socketState says what is at the path and who asks.
func socketState(path string) string {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "does not exist" + deepest(path)
	}
	if err != nil {
		return fmt.Sprintf("cannot be looked at: %v; running as %d", cause(err), os.Geteuid())
	}
	owner := "unknown"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprint(stat.Uid)
	}
	return fmt.Sprintf("exists, mode %04o, owner %s; running as %d", info.Mode().Perm(), owner, os.Geteuid())
}

// deepest adds which folder on the way is there, since a host's path that the
// container lacks fails early.
func deepest(path string) string {
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			return ", but " + dir + " does"
		}
	}
	return ", nor does any folder on its way"
}

// checkClient refuses a socket for a module that would not look at it.
func (s start) checkClient() error {
	if strings.HasPrefix(filepath.Base(s.path), "p11-kit-client") {
		return nil
	}
	return fault.Configf("pkcs11_socket_invalid", "leave pkcs11-module and module-path out: the vendor's module belongs to the server on the host",
		"pkcs11-socket works through p11-kit-client.so, but the module is %s", s.path)
}

// announceSocket leads p11-kit's client to the socket. It asks for the address
// once per process, when it is loaded, and by the C library, whose environment
// os.Setenv changes, too.
func (s start) announceSocket() error {
	if s.socket == "" {
		return nil
	}
	return os.Setenv(envSocket, "unix:path="+escape(s.socket, "/"))
}

// disconnected reports whether the module is p11-kit's client without a server.
func (m *module) disconnected() bool {
	return strings.Contains(m.info.LibraryDescription, "no connection")
}

// noConnection explains why p11-kit's client is not connected. Only then it
// tries to connect.
func (m *module) noConnection() error {
	path, next := m.socket, "see what the p11-kit server prints; started with --user or --group it lets in those alone"
	if path == "" {
		path, next = strings.TrimPrefix(os.Getenv(envSocket), "unix:path="), "set pkcs11-socket to the path of the server's socket"
	}
	if path == "" {
		return fault.Configf("pkcs11_socket_unreachable", next, "no tokens: p11-kit-client is not connected to a p11-kit server, and neither pkcs11-socket nor %s is set", envSocket)
	}
	conn, err := net.DialTimeout("unix", path, socketTime)
	if err == nil {
		conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fault.Undecidedf("pkcs11_socket_unreachable", "keep the p11-kit server running until this step ends",
			"no tokens: nobody listens at %s any more, because its p11-kit server has ended (%s)", path, socketState(path))
	}
	return fault.Configf("pkcs11_socket_unreachable", next, "no tokens: p11-kit-client is not connected to %s (%s)", path, socketState(path))
}
