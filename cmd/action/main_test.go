package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/cli/clitest"
)

func TestMain(m *testing.M) {
	signgate := func() {
		os.Exit(cli.Main(context.Background(), cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	clitest.Main(m, signgate, main)
}

// TestScripts runs the action as the runner does: inputs in variables, outputs
// in files.
func TestScripts(t *testing.T) {
	testscript.Run(t, clitest.Params("testdata"))
}
