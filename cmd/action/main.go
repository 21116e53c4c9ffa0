// Command action is the entrypoint of the container action. Its argument is
// the verb, its inputs are the INPUT_ variables of the runner.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/signgate/signgate/internal/cli"
)

var version = "dev" // set by the linker

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader that goes away does not end a run half way
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Action(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Version: version}))
}
