// Package hsm runs the PKCS#11 signer against real modules, as Debian has them:
// SoftHSM2, NSS softokn, tpm2-pkcs11 with a software TPM, p11-kit's client with
// a p11-kit server over SoftHSM2, and opencryptoki.
//
// Every module goes through the same checks, TestModules/<module>/<check>. What
// modules do differently is in the tables of modules_test.go; a difference that
// is not there fails. A module that is not installed fails the suite too.
//
// The suite runs in namespaces of its own, see world_test.go. It needs root,
// leaves nothing behind, and does not touch the tokens of the machine.
package hsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// folder is the directory of this run.
var folder string

// preparing is how long the tokens, their servers and their keys may take.
const preparing = time.Minute

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hsm:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	folder = os.Getenv(worldVariable)
	if folder == "" {
		if err := findPackages(needs); err != nil {
			return 0, err
		}
		return runInWorld()
	}
	if err := enter(folder); err != nil {
		return 0, err
	}
	if err := prepare(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// prepare makes the tokens and the keys of all modules. The modules run in this
// process and read their environment when they are loaded, so it is set here.
func prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	for _, name := range []string{"P11_KIT_SERVER_ADDRESS", "SIGNGATE_PKCS11_PIN"} {
		os.Unsetenv(name)
	}
	errs := make([]error, len(modules))
	var wg sync.WaitGroup
	for i, m := range modules {
		wg.Go(func() { errs[i] = m.prepare(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// prepare makes the module's token and keys in a folder of its own.
func (m *module) prepare(ctx context.Context) error {
	m.dir = filepath.Join(folder, m.name)
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	if err := m.start(ctx, m); err != nil {
		return fmt.Errorf("preparing %s: %w", m.name, err)
	}
	if err := m.makeKeys(ctx); err != nil {
		return fmt.Errorf("making the keys of %s: %w", m.name, err)
	}
	return nil
}
