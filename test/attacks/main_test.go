// Package attacks is the catalogue of attacks on the gate, as data.
//
// Each directory is a case: README.md says what the attacker does, what must
// happen and where that went wrong before; case.yaml has the registry, the policy,
// the inputs and what is expected. The tests build the registry of a case and put
// it before the command line program, the action and the package gate: all three
// must come to the same outcome by the same codes.
package attacks

import (
	"context"
	"os"
	"testing"

	"github.com/signgate/signgate/internal/cli"
)

// program is the variable that makes the test binary one of the two programs.
const program = "ATTACKS_PROGRAM"

func TestMain(m *testing.M) {
	p := cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}
	switch os.Getenv(program) {
	case "signgate":
		os.Exit(cli.Main(context.Background(), p))
	case "action":
		os.Exit(cli.Action(context.Background(), p))
	}
	os.Exit(m.Run())
}
