package keychain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
)

const (
	helperPrefix  = "docker-credential-"
	helperTimeout = 30 * time.Second
	helperLimit   = 1 << 20
	// helperNone is how the protocol says that there is nothing.
	helperNone = "credentials not found in native keychain"
)

// helperName keeps a config from naming a program outside PATH.
var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// askProgram asks docker-credential-<program>. Only an interruption is an
// error: with a program that is not there, or that fails, the search goes on,
// because in a container that is the common case and not a mistake.
func (d *dockerConfig) askProgram(ctx context.Context, c *configFile, program, host string) (credential, bool, error) {
	auth, err := runProgram(ctx, program, helperKey(host))
	switch {
	case ctx.Err() != nil:
		return credential{}, false, interrupted(ctx)
	case err != nil:
		d.skipped.add(host, programFault(c.name, program, host, err))
		return credential{}, false, nil
	case auth == (authn.AuthConfig{}):
		return credential{}, false, nil
	}
	return credential{authn.FromConfig(auth), helperPrefix + program + " of docker config " + c.name}, true, nil
}

func programFault(config, program, host string, err error) error {
	name := helperPrefix + program
	if errors.Is(err, exec.ErrNotFound) {
		return fault.Configf("credential_helper_missing",
			"install "+name+" where signgate runs, or give the credentials with registry-auth",
			"%s, which %s names for %s, is not installed here", name, config, display(host))
	}
	return fault.Configf("credential_helper_failed",
		"try "+name+" get by hand, or give the credentials with registry-auth",
		"%s, which %s names for %s, failed: %w", name, config, display(host), err)
}

// runProgram speaks the protocol of docker-credential-helpers: the server on
// standard input, JSON on standard output. It returns the zero AuthConfig when
// the program has nothing. What the program prints stays out of errors.
func runProgram(ctx context.Context, program, server string) (authn.AuthConfig, error) {
	if !helperName.MatchString(program) {
		return authn.AuthConfig{}, errors.New("its name is not a plain file name")
	}
	path, err := exec.LookPath(helperPrefix + program)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	var out limitedBuffer
	cmd := exec.CommandContext(ctx, path, "get")
	cmd.Stdin, cmd.Stdout = strings.NewReader(server), &out
	cmd.Env, cmd.WaitDelay = helperEnviron(os.Environ()), time.Second
	if err := cmd.Run(); err != nil {
		if strings.TrimSpace(out.buffer.String()) == helperNone {
			return authn.AuthConfig{}, nil
		}
		return authn.AuthConfig{}, err
	}
	return parseProgram(out.buffer.Bytes())
}

func parseProgram(data []byte) (authn.AuthConfig, error) {
	var answer struct{ Username, Secret string }
	if json.Unmarshal(data, &answer) != nil {
		return authn.AuthConfig{}, errors.New("it did not print the JSON of the protocol")
	}
	if answer.Username == "<token>" {
		return authn.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return authn.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}

// helperEnviron leaves the action's inputs out: they hold PINs and passwords
// that are no business of a credential program.
func helperEnviron(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, "INPUT_")
	})
}

// limitedBuffer ends a program that prints without end. The buffer is a field,
// because an embedded one would bring a ReadFrom that knows no limit.
type limitedBuffer struct{ buffer bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > helperLimit {
		return 0, fmt.Errorf("it printed more than %d bytes", helperLimit)
	}
	return b.buffer.Write(p)
}
