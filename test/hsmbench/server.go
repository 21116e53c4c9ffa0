package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// server is a p11-kit server that shows the token on a socket.
type server struct {
	cmd    *exec.Cmd
	socket string
}

// startServer starts a server in the foreground, so that it has the process id
// that stop needs. It writes to a file: it hands its output to the children that
// it makes for each client, and they would keep a pipe open.
func startServer(ctx context.Context, dir string, t *softhsm.Token) (*server, error) {
	s := &server{socket: filepath.Join(dir, "p11.sock")}
	log, err := os.Create(filepath.Join(dir, "p11-kit.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, "p11-kit", "server", "--foreground", "--provider", t.Module, "--name", s.socket, "pkcs11:token="+t.Label)
	s.cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+t.Conf)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w; run: %s", err, install)
	}
	if err := s.await(ctx); err != nil {
		s.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("p11-kit server: %w\n%s", err, text)
	}
	return s, nil
}

// await waits for the socket.
func (s *server) await(ctx context.Context) error {
	for range 500 {
		if _, err := os.Stat(s.socket); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it made no socket")
}

// stop ends the server. Its children end with their clients.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	_ = s.cmd.Wait()                          // by the signal, which is an error
}
