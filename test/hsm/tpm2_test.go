package hsm

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// tpm2 is a TPM in software behind a resource manager. Without one, which the
// kernel's /dev/tpmrm0 is too, a TPM has room for three keys.
var tpm2 = &module{
	name: "tpm2", column: 2, library: "pkcs11/libtpm2_pkcs11.so", label: "lab", pin: "pin-4711-tpm", wrong: "wrong-0815-tpm",
	tells: "the private key object", custody: keptInside, kept: keptInside, start: startTPM2,
}

// throughManager leads to the resource manager on the session's message bus.
const throughManager = "tabrmd:bus_name=com.intel.tss2.Tabrmd,bus_type=session"

func startTPM2(ctx context.Context, m *module) error {
	bus := filepath.Join(m.dir, "bus")
	for name, value := range map[string]string{
		"TPM2_PKCS11_STORE": m.dir, "TPM2_PKCS11_TCTI": throughManager, "TPM2TOOLS_TCTI": throughManager,
		"DBUS_SESSION_BUS_ADDRESS": "unix:path=" + bus,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := startChip(ctx, m); err != nil {
		return err
	}
	if err := startManager(ctx, m, bus); err != nil {
		return err
	}
	return makeTPMToken(ctx, m)
}

// startChip starts the TPM. The network is this run's own, so the ports are
// free.
func startChip(ctx context.Context, m *module) error {
	state := filepath.Join(m.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return err
	}
	s, err := serve(m.dir, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state,
		"--server", "type=tcp,port=2321", "--ctrl", "type=tcp,port=2322", "--flags", "not-need-init,startup-clear")
	if err != nil {
		return err
	}
	return s.answers(ctx, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:2322")
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func startManager(ctx context.Context, m *module, bus string) error {
	s, err := serve(m.dir, "dbus-daemon", "--session", "--nofork", "--address=unix:path="+bus)
	if err != nil {
		return err
	}
	if err := s.answers(ctx, exists(bus)); err != nil {
		return err
	}
	s, err = serve(m.dir, "tpm2-abrmd", "--tcti=swtpm:host=127.0.0.1,port=2321", "--session", "--allow-root")
	if err != nil {
		return err
	}
	return s.answers(ctx, func() error { return managerOnBus(ctx) })
}

func managerOnBus(ctx context.Context) error {
	out, err := command(ctx, nil, "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/",
		"org.freedesktop.DBus.NameHasOwner", "string:com.intel.tss2.Tabrmd")
	if err == nil && !strings.Contains(out, "boolean true") {
		return errors.New("it is not on the message bus")
	}
	return err
}

// makeTPMToken makes the token, and one key the way the users of tpm2_ptool do:
// its --id is text, not hexadecimal.
func makeTPMToken(ctx context.Context, m *module) error {
	for _, args := range []string{
		"init",
		"addtoken --pid=1 --sopin=" + m.pin + " --userpin=" + m.pin + " --label=" + m.label,
		"addkey --algorithm=ecc256 --key-label=ptool --id=01 --userpin=" + m.pin + " --label=" + m.label,
	} {
		if _, err := command(ctx, nil, "tpm2_ptool", append(strings.Fields(args), "--path="+m.dir)...); err != nil {
			return err
		}
	}
	return nil
}
