//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
)

// The test runs itself as another process, which opens a key and ends with its
// outcome. It has no tokens to make, so it does not get to TestMain.
func init() {
	module := os.Getenv("SIGNGATE_TEST_MODULE")
	if module == "" {
		return
	}
	k, err := Open(context.Background(), anyKey, Options{Module: module, Getenv: os.Getenv})
	if err == nil {
		err = errors.Join(verified(context.Background(), k), k.Close())
	}
	fmt.Println(fault.CodeOf(err), err)
	os.Exit(int(fault.OutcomeOf(err)))
}

// process opens the key in another process and returns what that printed.
func process(t *testing.T, m *fm.Module, pin string, outcome fault.Outcome) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SIGNGATE_TEST_MODULE="+m.Path, EnvPIN+"="+pin)
	out, _ := cmd.CombinedOutput()
	if got := fault.Outcome(cmd.ProcessState.ExitCode()); got != outcome {
		t.Errorf("the process ended with %v, want %v: %s", got, outcome, out)
	}
	if strings.Contains(string(out), pin) {
		t.Error("the process printed the PIN")
	}
	return string(out)
}

// However many processes have a wrong PIN, the last try is left to a person:
// not even the right PIN is presented then.
func TestWrongPINNeverLocks(t *testing.T) {
	m := counting(t)
	for _, c := range []struct {
		pin              string
		outcome          fault.Outcome
		says             string
		logins, mistakes uint64
	}{
		{wrongPIN, fault.Config, "pkcs11_pin_incorrect", 1, 1},
		{wrongPIN, fault.Config, "pkcs11_pin_incorrect", 2, 2},
		{wrongPIN, fault.Config, "pkcs11_pin_locked", 2, 2},
		{labPIN, fault.Config, "would lock its PIN after one more mistake", 2, 2},
	} {
		if out := process(t, m, c.pin, c.outcome); !strings.Contains(out, c.says) {
			t.Errorf("%q lacks %q", out, c.says)
		}
		presented(t, m, c.logins, c.mistakes)
	}
	m.Mistakes.Store(3)
	if out := process(t, m, labPIN, fault.Config); !strings.Contains(out, "has locked its PIN after too many mistakes") {
		t.Error(out)
	}
	presented(t, m, 2, 3)
	m.Mistakes.Store(1)
	process(t, m, labPIN, fault.Passed)
	presented(t, m, 3, 0)
}
