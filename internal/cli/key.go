package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/signer"
)

func newKey(p Process) *cobra.Command {
	key := &cobra.Command{Use: "key", Short: "Work with keys"}
	key.AddCommand(newKeyPublic(p), newKeyList(p), newKeyGenerate(p))
	return key
}

func newKeyPublic(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "public --key URI",
		Short: "Print the public key of a key URI in PEM",
		Example: `  signgate key public --key awskms:///alias/release > release.pub
  signgate key public --fingerprint --key release.key`,
		Args: cobra.NoArgs,
	}
	addInputs(cmd, "key")
	fingerprint := cmd.Flags().Bool("fingerprint", false, "print the SPKI fingerprint in place of the PEM")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runKey(p, cmd, func(r *run, ctx context.Context) error { return r.interrupted(ctx, r.printPublic(ctx, *fingerprint)) }, "fingerprint")
	}
	return cmd
}

// printPublic prints each key's public half, or its fingerprint.
func (r *run) printPublic(ctx context.Context, fingerprint bool) error {
	keys, closeKeys, err := r.openKeys(ctx)
	defer closeKeys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		r.warnRedirected(k)
		text := k.Fingerprint() + "\n"
		if !fingerprint {
			if text, err = publicPEM(k); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprint(r.process.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// warnRedirected warns of a key whose public half comes from an endpoint override.
func (r *run) warnRedirected(k *signer.Signer) {
	if to := k.RedirectedTo(); to != "" && len(r.list("expected-key")) == 0 {
		r.warn("an endpoint override sends the calls for this key to " + to + "; make sure that it is the key you mean, or set expected-key")
	}
}
