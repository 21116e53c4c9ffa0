package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/registry"
)

func newContents(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contents",
		Short: "Check layers and files against what was attested of an image",
	}
	cmd.AddCommand(newContentsCheck(p))
	return cmd
}

func newContentsCheck(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check --trusted-keys FILE IMAGE [PATH…]",
		Short: "Check that an image, or files of it on this machine, are what was attested",
		Long: `Check an image against the attestation of its contents by one of the trusted
keys. Without a PATH every layer is read from the registry, and compared layer by
layer and, if files were attested, file by file. A PATH is a file or a directory on
this machine, below --root, which stands for the root of the image: it is
compared with what was attested of it, and the registry is asked for that alone.
A directory is compared with all below it: what was changed, added or removed is
found.

Exit codes: 0 all is as attested, 1 something is not, 2 configuration, 3 undecided.`,
		Example: `  signgate contents check --trusted-keys release.pub ghcr.io/acme/app:1.4
  signgate contents check --trusted-keys release.pub ghcr.io/acme/app@sha256:… /usr/bin /etc/ssl
  signgate contents check --trusted-keys release.pub --root rootfs ghcr.io/acme/app:1.4 rootfs`,
		Args: cobra.MinimumNArgs(1),
	}
	output := addFlags(cmd, "contents")
	root := cmd.Flags().String("root", "/", "the directory that stands for the root of the image")
	platform := cmd.Flags().String("platform", "", "of an index, the one image to check, such as linux/arm64; all without a PATH")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v := flagValues(cmd, args[:1:1])
		delete(v, "root")
		delete(v, "platform")
		r, err := newCommandRun(p, "contents", v)
		if err != nil {
			return err
		}
		if err := checkOutput(*output); err != nil {
			return err
		}
		in := contentsInput{root: r.runner.TranslatePath(*root), platform: *platform}
		if in.paths, err = in.relative(args[1:]); err != nil {
			return err
		}
		if cmd.Flags().Changed("root") && len(in.paths) == 0 {
			return fault.Configf("inputs_contradict", "give the paths below it that are to be compared, such as "+*root+" itself", "--root is given without a PATH, and then the registry is read and nothing on this machine")
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		views, err := r.checkContents(ctx, in)
		if err != nil {
			return r.interrupted(ctx, err)
		}
		return r.printContents(views, *output)
	}
	return cmd
}

// contentsInput says what is compared with an image.
type contentsInput struct {
	root     string
	platform string   // of the images of an index; "" for all
	paths    []string // in the image; none for the image in the registry
}

// relative returns what paths of this machine are in the image: relative to the
// root, with slashes. One that is not below it is a configuration fault
// ("contents_path_invalid").
func (in contentsInput) relative(paths []string) (out []string, err error) {
	root, err := filepath.Abs(in.root)
	for _, p := range paths {
		var abs, rel string
		if err == nil {
			abs, err = filepath.Abs(p)
		}
		if err == nil {
			rel, err = filepath.Rel(root, abs)
		}
		if err != nil || p == "" || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return nil, fault.Configf("contents_path_invalid", "give a path below "+in.root+", or another --root", "%q is not below %q, which stands for the root of the image", p, in.root)
		}
		out = append(out, filepath.ToSlash(rel))
	}
	return out, nil
}

// stored is a repository as the source of what is in an image.
type stored struct {
	registry   *registry.Client
	repository string
}

// Blob implements contents.Source.
func (s stored) Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error) {
	return s.registry.Stream(ctx, s.repository, digest, size)
}

var _ contents.Source = stored{}
