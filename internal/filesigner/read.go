package filesigner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

const (
	maxFile = 64 << 10 // bytes; a 4096-bit RSA key in PEM has 3.2 KiB
	maxName = 512      // bytes of a path that a message repeats
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// read returns the text that uri names, and a name for it in messages.
func read(uri string, opts Options) (name string, text []byte, err error) {
	if isKeyText(uri) {
		return "", nil, fault.Configf("key_uri_invalid", "put the key into a variable of the step's env and set key to env://THAT_NAME",
			"the key input holds the text of a key where the path of a file is expected")
	}
	if env, ok := strings.CutPrefix(uri, "env://"); ok {
		return readEnv(env, opts)
	}
	name = "the key file"
	if len(uri) <= maxName {
		name = fmt.Sprintf("the key file %q", uri)
	}
	text, err = readFile(name, uri)
	return name, text, err
}

// isKeyText reports whether s is a key and not the name of one: PEM, or PEM in
// base64 as secrets are often kept.
func isKeyText(s string) bool {
	return strings.Contains(s, "-----BEGIN") || strings.ContainsAny(s, "\r\n") ||
		strings.Contains(s, "LS0tLS1CRUdJTi")
}

func readEnv(env string, opts Options) (string, []byte, error) {
	if !variable.MatchString(env) {
		return "", nil, fault.Configf("key_uri_invalid", "use env:// and the name of a variable, like env://SIGNING_KEY",
			"the key names no environment variable after env://")
	}
	name := "the environment variable " + env
	text, _ := opts.lookup(env)
	if strings.TrimSpace(text) == "" {
		return "", nil, fault.Configf("key_file_missing", "set it in the env of the step; secrets are not passed to workflows from forks",
			"%s, which should hold the key, is not set or empty", name)
	}
	if len(text) > maxFile {
		return "", nil, tooLarge(name)
	}
	return name, []byte(text), nil
}

func readFile(name, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if len(text) > maxFile {
		return nil, tooLarge(name)
	}
	return text, nil
}

func unreadable(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Configf("key_file_missing", "check the path; in a workflow it is relative to the workspace", "%s does not exist", name)
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // without the path, which name holds if it is printable
	}
	return fault.Configf("key_file_unreadable", "give the path of a PEM file that this process may read", "%s cannot be read: %w", name, err)
}

func tooLarge(name string) error {
	return fault.Configf("key_file_invalid", "give a PEM file with one private key", "%s is larger than %d KiB, so it is not a key", name, maxFile>>10)
}
