package hsm

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/signgate/signgate/internal/signer"
)

// opencryptoki keeps its tokens, its locks and its daemon's socket at fixed
// places of the machine, which are empty in this run. Its keys can be taken out
// unless they are made otherwise.
var opencryptoki = &module{
	name: "opencryptoki", column: 4, library: "pkcs11/libopencryptoki.so", label: "lab", pin: "pin-4711", wrong: "bad-0815",
	counts: true, tells: "the private key object", start: startOpencryptoki, kept: keptInside,
	custody: signer.Custody{
		Sensitive: signer.Yes, Extractable: signer.Yes, NeverExtractable: signer.No, Local: signer.Yes, AlwaysAuthenticate: signer.No,
	},
}

func startOpencryptoki(ctx context.Context, m *module) error {
	if err := ownPlaces(); err != nil {
		return err
	}
	s, err := serve(m.dir, "pkcsslotd")
	if err != nil {
		return err
	}
	<-s.done // the daemon has left its parent
	if err := s.answers(ctx, func() error { _, err := command(ctx, nil, "pkcsconf", "-s"); return err }); err != nil {
		return err
	}
	info, err := command(ctx, nil, "pkcsconf", "-i")
	if err != nil {
		return err
	}
	if !strings.Contains(info, "Library Version 3.8") {
		m.column, m.guards, m.tells = 5, unmade, "CKA_PUBLIC_KEY_INFO of the private key"
	}
	return makeSoftToken(ctx, m)
}

// ownPlaces makes the places of opencryptoki empty, and again the folders that
// its package asks systemd for at boot, tmpfiles.d(5).
func ownPlaces() error {
	if err := emptyTree("/var/lib/opencryptoki"); err != nil {
		return err
	}
	if err := empty("/run"); err != nil {
		return err
	}
	if err := makeFolder("/run/lock", 0o777, 0, 0); err != nil {
		return err
	}
	file, err := os.Open("/usr/lib/tmpfiles.d/opencryptoki.conf")
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 5 || f[0] != "d" && f[0] != "D" {
			continue
		}
		if err := temporaryFolder(f[1], f[2], f[3], f[4]); err != nil {
			return fmt.Errorf("making %s: %w", f[1], err)
		}
	}
	return nil
}

func temporaryFolder(path, mode, owner, group string) error {
	bits, err := strconv.ParseUint(mode, 8, 12)
	if err != nil {
		return err
	}
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(g.Gid)
	return makeFolder(path, os.FileMode(bits), uid, gid)
}

// makeSoftToken initialises the token in software, which the package's
// configuration has in slot 3. The first PINs are those of every new token.
func makeSoftToken(ctx context.Context, m *module) error {
	script := fmt.Sprintf(`set -e
echo %s | pkcsconf -c 3 -I -S 87654321
pkcsconf -c 3 -P -S 87654321 -n 76543210
pkcsconf -c 3 -u -S 76543210 -n 12345678
pkcsconf -c 3 -p -U 12345678 -n %s`, m.label, m.pin)
	_, err := command(ctx, nil, "sh", "-c", script)
	return err
}
