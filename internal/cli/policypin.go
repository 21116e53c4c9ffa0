package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

func newPolicyPin(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pin FILE --name NAME --key URI",
		Short: "Write the public key of a key URI into a policy",
		Long: `Open a key, of any backend, and write its public half into the policy under
keys, so that whoever decides by the policy needs no backend. Comments and
everything else in the file stay. Review the change before you commit it.`,
		Example: "  signgate policy pin policy.yaml --name kms-26 --key awskms:///alias/release",
		Args:    cobra.ExactArgs(1),
	}
	addInputs(cmd, "key")
	name := cmd.Flags().String("name", "", "the name of the key in the policy")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runKey(p, cmd, func(r *run, ctx context.Context) error { return r.pin(ctx, args[0], *name) }, "name")
	}
	return cmd
}

func (r *run) pin(ctx context.Context, path, name string) error {
	if name == "" {
		return fault.Configf("usage", "give --name, for example release-2026", "policy pin needs the name of the key in the policy")
	}
	path = r.runner.TranslatePath(path)
	before, err := readFile("policy", path, policy.MaxSize)
	if err != nil {
		return err
	}
	key, text, err := r.pinned(ctx)
	if err != nil {
		return err
	}
	after, err := policy.Pin(before, name, text)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		if err := replaceFile(path, after); err != nil {
			return unwritable(err)
		}
		r.runner.Chown(path)
	}
	_, err = fmt.Fprintf(r.process.Stdout, "%s: %s %s\n", name, signer.KeyType(key.Public()), key.Fingerprint())
	return err
}

// pinned returns the one key of the input key, and its public half in PEM. A
// redirected backend could name any key, so it needs expected-key.
func (r *run) pinned(ctx context.Context) (*signer.Signer, string, error) {
	keys, closeKeys, err := r.openKeys(ctx)
	defer closeKeys()
	if err != nil {
		return nil, "", err
	}
	if len(keys) != 1 {
		return nil, "", fault.Configf("inputs_contradict", "give one", "policy pin takes one key, and %d are given", len(keys))
	}
	if to := keys[0].RedirectedTo(); to != "" && len(r.list("expected-key")) == 0 {
		return nil, "", fault.Configf("backend_redirected", "set expected-key to the key's fingerprint, or remove the override",
			"an endpoint override sends the calls for %s to %s, and nothing says which key is expected", keys[0].ID(), to)
	}
	text, err := publicPEM(keys[0])
	return keys[0], text, err
}
