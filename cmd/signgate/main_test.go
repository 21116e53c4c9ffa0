package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signgate/signgate/internal/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main, nil) }

// TestScripts runs the behaviour catalogue: one file for each thing that a
// user can do or do wrong.
func TestScripts(t *testing.T) {
	testscript.Run(t, clitest.Params("testdata"))
}
