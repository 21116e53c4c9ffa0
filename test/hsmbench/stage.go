package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// install is the command that installs what this program needs.
const install = "test/setup/need.sh cc softhsm2 opensc p11-kit p11-kit-modules"

//go:embed direct/direct.c
var directSource []byte

// stage is what the contenders share: a token with one key, and the programs.
type stage struct {
	dir    string
	log    io.Writer
	token  *softhsm.Token
	public *ecdsa.PublicKey
	self   string // this program
	direct string // the C program
	server *server
}

func newStage(ctx context.Context, dir string, log io.Writer) (s *stage, err error) {
	s = &stage{dir: dir, log: log}
	s.say("making a token and a key, building the C program")
	if s.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if s.token, err = softhsm.NewToken(ctx, dir, token, "1234"); err != nil {
		return nil, fmt.Errorf("%w; run: %s", err, install)
	}
	if err := s.token.GenerateKey(ctx, "EC:prime256v1", "01", object); err != nil {
		return nil, fmt.Errorf("%w; run: %s", err, install)
	}
	if s.public, err = s.readPublic(ctx); err != nil {
		return nil, err
	}
	if s.direct, err = buildDirect(ctx, dir); err != nil {
		return nil, err
	}
	s.server, err = startServer(ctx, dir, s.token)
	return s, err
}

func (s *stage) close() { s.server.stop() }

// readPublic reads the public key with none of the contenders.
func (s *stage) readPublic(ctx context.Context) (*ecdsa.PublicKey, error) {
	path := filepath.Join(s.dir, "public.der")
	if err := s.token.PKCS11Tool(ctx, "--read-object", "--type", "pubkey", "--label", object, "--output-file", path); err != nil {
		return nil, err
	}
	der, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if public, ok := key.(*ecdsa.PublicKey); ok {
		return public, nil
	}
	return nil, fmt.Errorf("the token has another key than the one that was made: %T, %w", key, err)
}

// buildDirect compiles the C program with the system's own compiler.
func buildDirect(ctx context.Context, dir string) (string, error) {
	source, program := filepath.Join(dir, "direct.c"), filepath.Join(dir, "direct")
	if err := os.WriteFile(source, directSource, 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "cc", "-std=gnu11", "-O2", "-Wall", "-Werror", "-o", program, source, "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cc: %w; run: %s\n%s", err, install, out)
	}
	return program, nil
}

// environment is that of a process which signs.
func (s *stage) environment() []string {
	return append(os.Environ(), "SOFTHSM2_CONF="+s.token.Conf, pkcs11signer.EnvPIN+"="+s.token.PIN)
}

// contender is this program as the named contender, with a module or a socket.
func (s *stage) contender(ctx context.Context, name, where string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.self, contenderVerb, name, where)
	cmd.Env = s.environment()
	return cmd
}

// fromC is the C program; its verb is serve or cold.
func (s *stage) fromC(ctx context.Context, verb string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.direct, verb, s.token.Module, token, object, fmt.Sprintf("%x", digest))
	cmd.Env = s.environment()
	return cmd
}

func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.log, "hsmbench: "+format+"\n", args...)
}
