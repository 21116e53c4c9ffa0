// Command signgate signs container image digests and gates what a registry
// holds. See signgate --help.
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
	os.Exit(cli.Main(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Version: version}))
}
