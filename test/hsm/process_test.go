package hsm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// command runs a program to its end and returns what it printed. The secrets
// of this suite protect nothing, so its errors may show them.
func command(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// server is a program that runs beside the tests, at most until they end.
type server struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// serve starts a program. Its output goes to a file and not to a pipe, which a
// daemon would hold open.
func serve(dir string, name string, args ...string) (*server, error) {
	s := &server{name: name, log: filepath.Join(dir, filepath.Base(name)+".log"), cmd: exec.Command(name, args...), done: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// answers waits until the server does what ready asks for.
func (s *server) answers(ctx context.Context, ready func() error) error {
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%s ended: %s", s.name, s.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", s.name, err, s.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) said() string {
	text, _ := os.ReadFile(s.log)
	return strings.TrimSpace(string(text))
}

// exists is ready for servers that make a socket.
func exists(path string) func() error {
	return func() error {
		_, err := os.Stat(path)
		return err
	}
}
