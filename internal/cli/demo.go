package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/demo"
)

func newDemo(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Sign, attest and gate images on an embedded registry, then refuse what is wrong",
		Args:  cobra.NoArgs,
	}
	backend := cmd.Flags().String("key-backend", demo.BackendFile, "where the throwaway key lives: file, or pkcs11 (needs SoftHSM)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return demo.Run(cmd.Context(), p.Stdout, *backend, func(ctx context.Context, out io.Writer, args ...string) int {
			return Main(ctx, Process{Args: args, Environ: demoEnviron(p.Environ), Stdout: out, Stderr: out, Version: p.Version, Demo: true})
		})
	}
	return cmd
}

// demoEnviron leaves the runner and the user's credentials out of the demo.
func demoEnviron(environ []string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "GITHUB_") && !strings.HasPrefix(e, "DOCKER_CONFIG=") && !strings.HasPrefix(e, "SIGNGATE_") {
			out = append(out, e)
		}
	}
	return out
}
