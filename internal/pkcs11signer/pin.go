//go:build linux && cgo

package pkcs11signer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

const maxPIN = 4096

// pin returns the PIN from the first source that was given, or "".
func (o Options) pin(u URI) (string, error) {
	if o.PIN+o.PINFile != "" && u.PINSource+u.PINValue != "" {
		o.warn("the PIN of the key URI " + u.String() + " is not used, because pkcs11-pin or pkcs11-pin-file is given")
	}
	switch {
	case o.PINFile != "":
		return readPIN("the input pkcs11-pin-file", o.PINFile)
	case o.PIN != "":
		return o.PIN, nil
	case u.PINSource != "":
		return readPIN("pin-source of the key URI", u.PINSource)
	case u.PINValue != "":
		o.warn("the key URI holds the PIN as pin-value, where logs and process lists show it; use the pkcs11-pin or pkcs11-pin-file input")
		return u.PINValue, nil
	case o.Getenv != nil:
		return o.Getenv(EnvPIN), nil
	}
	return "", nil
}

func (o Options) warn(text string) {
	if o.Warn != nil {
		o.Warn(text)
	}
}

// readPIN reads a PIN file and drops exactly one newline at its end.
func readPIN(source, path string) (string, error) {
	data, err := readSmall(path)
	if err != nil {
		return "", fault.Configf("pkcs11_pin_missing", "check the path and the permissions of the file",
			"the PIN file%s of %s cannot be read: %v", shown(path), source, err)
	}
	pin := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if pin == "" || len(data) > maxPIN {
		return "", fault.Configf("pkcs11_pin_missing", "put the PIN, and nothing else, into the file",
			"the PIN file%s of %s is empty or longer than %d bytes", shown(path), source, maxPIN)
	}
	return pin, nil
}

// shown returns the path for a message unless it may be the PIN itself, given
// in the wrong place.
func shown(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return " " + path
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPIN+1))
	return data, cause(err)
}

// cause drops the path from an error of package os.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
