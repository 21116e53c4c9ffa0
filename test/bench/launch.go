package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// launchVerb makes this program the parent of one process that is measured.
//
// Linux counts the memory of the parent at the moment of the start into the
// peak of a new process. The program that holds the registry is large by
// then; a fresh copy of it is smaller than what is measured.
const launchVerb = "launch"

// usage is what a process has cost.
type usage struct {
	Wall   time.Duration
	CPU    time.Duration // user and system
	Memory int64         // the largest resident set, in bytes
	Code   int           // the exit code
}

// launch runs a command and writes its usage to file descriptor 3.
func launch(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	u, err := runMeasured(ctx, args)
	if err == nil {
		err = json.NewEncoder(os.NewFile(3, "usage")).Encode(u)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "launch:", err)
		return 1
	}
	return 0
}

func runMeasured(ctx context.Context, args []string) (usage, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return usage{}, err
	}
	state := cmd.ProcessState
	return usage{
		Wall: wall, CPU: state.UserTime() + state.SystemTime(), Code: state.ExitCode(),
		Memory: state.SysUsage().(*syscall.Rusage).Maxrss << 10, // Linux has kilobytes
	}, nil
}
