package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// limit ends a process that hangs.
const limit = 15 * time.Minute

// command is a process to run.
type command struct {
	path string
	args []string
	env  []string // beside the environment of all
}

// ended is a process that has ended.
type ended struct {
	usage
	command        string
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("$ %s\nexit code %d\n%s%s", e.command, e.Code, e.stdout, e.stderr)
}

// environment is what every process gets: a home of its own, and a proxy that
// refuses, so that whoever leaves the loopback interface fails and shows it.
func (t *tools) environment() []string {
	const nowhere = "http://127.0.0.1:9"
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.dir, "TMPDIR=" + t.dir, "HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere}
}

// run runs a command to its end, whatever its exit code.
func (t *tools) run(ctx context.Context, c command) (ended, error) {
	e := ended{command: filepath.Base(c.path) + " " + strings.Join(c.args, " ")}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	measured, pipe, err := os.Pipe()
	if err != nil {
		return e, err
	}
	defer measured.Close()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.self, append([]string{launchVerb, c.path}, c.args...)...)
	cmd.Env = append(t.environment(), c.env...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &stdout, &stderr, []*os.File{pipe}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends its child
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	pipe.Close()
	e.stdout, e.stderr = stdout.String(), stderr.String()
	if err == nil {
		err = json.NewDecoder(measured).Decode(&e.usage)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return e, fmt.Errorf("%s: %w\n%s", e.command, err, e.stderr)
	}
	return e, nil
}

// must runs a command that has to succeed.
func (t *tools) must(ctx context.Context, c command) (ended, error) {
	e, err := t.run(ctx, c)
	if err == nil && e.Code != 0 {
		err = fmt.Errorf("a program failed:\n%s", e)
	}
	return e, err
}
