// Package storm runs the signgate program against registries that are slow,
// broken or hostile, and that many processes write to at once.
//
// The tests know the program only from outside: its flags, its exit codes, its
// report, and what is in the registry afterwards, which they read and verify by
// themselves. SIGNGATE_SOAK=20 makes as many trials of what depends on chance.
package storm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What all tests share, made once by TestMain.
var (
	binary string // the program, built without the race detector
	home   string // an empty home folder
	folder string // of key files and the like
)

func TestMain(m *testing.M) {
	if file := os.Getenv(peakFile); file != "" {
		os.Exit(launch(file))
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "storm")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary, home, folder = filepath.Join(dir, "signgate"), filepath.Join(dir, "home"), dir
	if err := os.Mkdir(home, 0o700); err != nil {
		return 0, err
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/signgate/signgate/cmd/signgate")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building signgate: %w\n%s", err, out)
	}
	return m.Run(), nil
}
