package clitest

import (
	"context"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
)

// makeFaulty makes a module around that of the command softhsm, at FAULTY, which
// counts wrong PINs as a device does: it has seen some and locks at three.
//
//	faulty MISTAKES
func makeFaulty(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs("faulty")
	ts.Check(os.MkdirAll(dir, 0o700))
	m, err := faultmodule.New(context.Background(), dir, ts.Getenv("MODULE"))
	ts.Check(err)
	m.CountPINs("246802468", 3)
	m.Mistakes.Store(number(ts, args[0]))
	ts.Setenv("FAULTY", m.Path)
}

// checkMistakes checks how many wrong PINs the module at FAULTY has seen since
// the last right one:
//
//	mistakes N
func checkMistakes(ts *testscript.TestScript, _ bool, args []string) {
	m, err := faultmodule.Find(ts.Getenv("FAULTY"))
	ts.Check(err)
	if got := m.Mistakes.Load(); got != number(ts, args[0]) {
		ts.Fatalf("the token has seen %d wrong PINs, want %s", got, args[0])
	}
}

func number(ts *testscript.TestScript, text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	ts.Check(err)
	return n
}
