package interop

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	peersLine    = "run: test/setup/peers.sh cosign-v2 cosign-v3 registry"
	packagesLine = "run: test/setup/need.sh softhsm2 opensc"
)

// programs are the paths of what the tests run.
var programs struct {
	signgate, fakekms, fakevault, cosign2, cosign3, registry string
}

// home is the home directory of all child processes. It is empty at first.
var home string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "signgate-interop-")
		if err == nil {
			defer os.RemoveAll(dir)
			err = prepare(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
			return 1
		}
		return m.Run()
	}())
}

func prepare(dir string) error {
	home = filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	if err := findPeers(); err != nil {
		return err
	}
	return build(dir)
}

// findPeers looks for what test/setup makes and installs.
func findPeers() error {
	userHome, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	userCache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(userHome, ".cache"))
	peers := filepath.Join(cmp.Or(os.Getenv("SIGNGATE_CACHE"), filepath.Join(userCache, "signgate")), "peers")
	for name, path := range map[string]*string{"cosign-v2": &programs.cosign2, "cosign-v3": &programs.cosign3, "registry": &programs.registry} {
		if *path, err = exec.LookPath(filepath.Join(peers, name)); err != nil {
			return fmt.Errorf("%w; %s", err, peersLine)
		}
	}
	for _, tool := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; %s", err, packagesLine)
		}
	}
	return nil
}

// build builds signgate and the fake KMS of this tree into dir.
func build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/signgate", "./internal/kmsigner/kmstest/cmd/fakekms", "./internal/kmsigner/vaulttest/cmd/fakevault")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	programs.signgate = cmp.Or(os.Getenv("SIGNGATE_BIN"), filepath.Join(dir, "signgate"))
	programs.fakekms = filepath.Join(dir, "fakekms")
	programs.fakevault = filepath.Join(dir, "fakevault")
	return nil
}
