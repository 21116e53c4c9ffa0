package hsm

import (
	"context"
	"os"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

var softHSM = &module{
	name: "SoftHSM", column: 0, library: "softhsm/libsofthsm2.so", label: "lab", pin: "pin-4711-soft", wrong: "wrong-0815-soft",
	counts: true, custody: keptInside, kept: keptInside, start: startSoftHSM,
}

// The tokens that only SoftHSM has.
const (
	twin  = "twin"  // two tokens of one label
	spied = "spied" // reached through a module that writes down every call
	mixed = "mixed" // has a key that can be taken out beside one that cannot
)

func startSoftHSM(ctx context.Context, m *module) error {
	lab, err := softhsm.NewToken(ctx, m.dir, m.label, m.pin)
	if err != nil {
		return err
	}
	m.env = []string{"SOFTHSM2_CONF=" + lab.Conf}
	if err := os.Setenv("SOFTHSM2_CONF", lab.Conf); err != nil {
		return err
	}
	for _, label := range []string{twin, twin, spied, mixed} {
		if err := smallToken(ctx, m, label); err != nil {
			return err
		}
	}
	return setSpy(m)
}

// smallToken makes a token with one key, or with two.
func smallToken(ctx context.Context, m *module, label string) error {
	t, err := softhsm.NewToken(ctx, m.dir, label, m.pin)
	if err != nil {
		return err
	}
	if err := t.GenerateKey(ctx, "EC:prime256v1", "01", "key"); err != nil || label != mixed {
		return err
	}
	return t.PKCS11Tool(ctx, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "02", "--label", "portable", "--extractable")
}
