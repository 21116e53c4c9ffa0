package hsm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/signgate/signgate/internal/signer"
)

// nss is the database of Firefox and of certutil. It gets its configuration as
// the reserved argument of C_Initialize, which pkcs11-tool cannot give: that
// goes through p11-kit's proxy. Its keys can be taken out unless they are made
// otherwise.
var nss = &module{
	name: "NSS", column: 1, library: "libsoftokn3.so", label: "nsslab", pin: "Nss-pin-4711", wrong: "Nss-wrong-0815",
	beside: "p11-kit-proxy.so", start: startNSS,
	custody: signer.Custody{
		Sensitive: signer.Yes, Extractable: signer.Yes, NeverExtractable: signer.No, Local: signer.No, AlwaysAuthenticate: signer.Unknown,
	},
	kept: signer.Custody{
		Sensitive: signer.Yes, Extractable: signer.No, NeverExtractable: signer.Yes, Local: signer.No, AlwaysAuthenticate: signer.Unknown,
	},
}

func startNSS(ctx context.Context, m *module) error {
	m.args = fmt.Sprintf("configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=readWrite dbTokenDescription='%s'", m.dir, m.label)
	if err := configureProxy(m); err != nil {
		return err
	}
	pin, noise := filepath.Join(m.dir, "pin"), filepath.Join(m.dir, "noise")
	for file, text := range map[string]string{pin: m.pin + "\n", noise: "only certutil needs this; the keys of this run protect nothing"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	db := []string{"-d", "sql:" + m.dir, "-f", pin}
	if _, err := command(ctx, nil, "certutil", append(db, "-N")...); err != nil {
		return err
	}
	_, err := command(ctx, nil, "certutil", append(db, "-G", "-k", "ec", "-q", "nistp256", "-z", noise)...)
	return err
}

// configureProxy makes NSS the one module of p11-kit's proxy in this run.
func configureProxy(m *module) error {
	const dir = "/usr/share/p11-kit/modules"
	if err := empty(dir); err != nil {
		return err
	}
	text := fmt.Sprintf("module: %s\nx-init-reserved: %s\n", locate(m.library), m.args)
	return os.WriteFile(filepath.Join(dir, "nss.module"), []byte(text), 0o600)
}
