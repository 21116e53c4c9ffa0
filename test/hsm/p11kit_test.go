package hsm

import (
	"context"
	"path/filepath"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// p11kit is SoftHSM in a server of its own, which the client reaches over a
// Unix socket. pkcs11-tool works beside the server.
var p11kit = &module{
	name: "p11-kit", column: 3, library: "pkcs11/p11-kit-client.so", label: "lab", pin: "pin-4711-kit", wrong: "wrong-0815-kit",
	counts: true, custody: keptInside, kept: keptInside, start: startP11Kit,
}

func startP11Kit(ctx context.Context, m *module) error {
	lab, err := softhsm.NewToken(ctx, m.dir, m.label, m.pin)
	if err != nil {
		return err
	}
	m.beside, m.env = "softhsm/libsofthsm2.so", []string{"SOFTHSM2_CONF=" + lab.Conf}
	m.socket = filepath.Join(m.dir, "p11.sock")
	s, err := serve(m.dir, "env", m.env[0], "p11-kit", "server", "--foreground",
		"--provider", lab.Module, "--name", m.socket, "pkcs11:token="+m.label)
	if err != nil {
		return err
	}
	return s.answers(ctx, exists(m.socket))
}
