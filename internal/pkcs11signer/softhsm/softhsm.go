// Package softhsm makes throwaway tokens of SoftHSM2, a PKCS#11 module in
// software, for tests and for the demo.
//
// It runs the tools softhsm2-util and pkcs11-tool and needs no cgo. SoftHSM
// reads its configuration once, when a process initialises the module: set the
// environment variable SOFTHSM2_CONF of the process that opens a key to
// Token.Conf before, and make the tokens before too, since a process does not
// see tokens that appear later. Keys may be added at any time.
//
// These tokens protect nothing. softhsm2-util takes the PIN as an argument,
// where every user of the machine can read it, so use no PIN that matters.
package softhsm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// Install is the command that installs what this package needs.
const Install = "apt-get install softhsm2 opensc"

// Token is an initialised token.
type Token struct {
	Module string // the absolute path of the PKCS#11 module
	Conf   string // the configuration file, for SOFTHSM2_CONF
	Label  string
	PIN    string

	slot string
}

// Find returns the absolute path of the SoftHSM module. A machine without it is
// a configuration fault ("softhsm_missing").
func Find() (string, error) {
	paths := []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm2.so",
	}
	if util, err := exec.LookPath("softhsm2-util"); err == nil {
		prefix := filepath.Dir(filepath.Dir(util))
		paths = append(paths, filepath.Join(prefix, "lib/softhsm/libsofthsm2.so"))
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", fault.Configf("softhsm_missing", "install it: "+Install, "the SoftHSM module libsofthsm2.so is not on this machine")
}

// NewToken initialises a token in the absolute directory dir, which gets the
// configuration file softhsm2.conf and a folder of tokens. Several tokens can
// share a directory, even with one label.
func NewToken(ctx context.Context, dir, label, pin string) (*Token, error) {
	module, err := Find()
	if err != nil {
		return nil, err
	}
	t := &Token{Module: module, Conf: filepath.Join(dir, "softhsm2.conf"), Label: label, PIN: pin}
	if err := t.configure(dir); err != nil {
		return nil, err
	}
	out, err := t.run(ctx, "softhsm2-util", "--init-token", "--free", "--module", module, "--label", label, "--so-pin", pin, "--pin", pin)
	if err != nil {
		return nil, err
	}
	if m := assigned.FindStringSubmatch(out); m != nil {
		t.slot = m[1]
		return t, nil
	}
	return nil, fault.Undecidedf("softhsm_failed", "check the version of softhsm2", "softhsm2-util did not tell the slot of the new token %q", label)
}

var assigned = regexp.MustCompile(`reassigned to slot (\d+)`)

func (t *Token) configure(dir string) error {
	tokens := filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return fault.Configf("softhsm_failed", "choose a directory that can be written", "the token directory cannot be made: %w", err)
	}
	conf := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if err := os.WriteFile(t.Conf, []byte(conf), 0o600); err != nil {
		return fault.Configf("softhsm_failed", "choose a directory that can be written", "the SoftHSM configuration cannot be written: %w", err)
	}
	return nil
}

// GenerateKey makes a key pair inside the token. The kind is in the spelling of
// pkcs11-tool: "EC:prime256v1", "EC:secp384r1", "EC:secp521r1",
// "EC:edwards25519", "rsa:2048", "rsa:3072". The id is hexadecimal.
func (t *Token) GenerateKey(ctx context.Context, kind, id, label string) error {
	return t.PKCS11Tool(ctx, "--keypairgen", "--key-type", kind, "--id", id, "--label", label, "--usage-sign")
}

// PKCS11Tool runs pkcs11-tool on the token, logged in, with more arguments.
func (t *Token) PKCS11Tool(ctx context.Context, args ...string) error {
	args = append([]string{"--module", t.Module, "--slot", t.slot, "--login", "--pin", "env:" + pinVariable}, args...)
	_, err := t.run(ctx, "pkcs11-tool", args...)
	return err
}

const pinVariable = "SOFTHSM_THROWAWAY_PIN"

// run runs a tool against the token's configuration and returns its output.
func (t *Token) run(ctx context.Context, tool string, args ...string) (string, error) {
	path, err := exec.LookPath(tool)
	if err != nil {
		return "", fault.Configf("softhsm_missing", "install it: "+Install, "the program %s is not on this machine", tool)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+t.Conf, pinVariable+"="+t.PIN)
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.ReplaceAll(strings.Join(strings.Fields(string(out)), " "), t.PIN, "***")
		return "", fault.Undecidedf("softhsm_failed", "check the installation of softhsm2 and opensc", "%s failed: %w: %s", tool, err, text)
	}
	return string(out), nil
}
