package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

func newKeyGenerate(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate --key 'pkcs11:token=LABEL;object=NEW'",
		Short: "Make a signing key on a PKCS#11 token",
		Long: `Make a key pair on the token. The private half can sign and nothing else, and
never leaves the token. A label or an id that the token has already is refused;
what was made is read back and signs once. The public key is printed in PEM,
and the new key's URI beside it on standard error.`,
		Example: "  signgate key generate --key 'pkcs11:token=lab;object=release' --pkcs11-pin-file pin > release.pub",
		Args:    cobra.NoArgs,
	}
	addInputs(cmd, "key")
	spec := cmd.Flags().String("type", "p256", "the type of the key: "+pkcs11signer.SpecNames())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runKey(p, cmd, func(r *run, ctx context.Context) error {
			return r.generateKey(ctx, pkcs11signer.KeySpec(*spec))
		}, "type")
	}
	return cmd
}

func (r *run) generateKey(ctx context.Context, spec pkcs11signer.KeySpec) error {
	uri, err := r.tokenURI("key generate", "")
	if err != nil {
		return err
	}
	opts, err := r.pkcs11()
	if err != nil {
		return err
	}
	key, err := pkcs11signer.Generate(ctx, uri, spec, opts)
	if err != nil {
		return err
	}
	defer key.Close()
	s, err := signer.Guard(key, r.keyRetry())
	if err != nil {
		return err
	}
	text, err := publicPEM(s)
	if err != nil {
		return err
	}
	r.say("made %s, %s %s: %s", key.URI(), signer.KeyType(s.Public()), s.Fingerprint(), key.Custody())
	_, err = fmt.Fprint(r.process.Stdout, text)
	return err
}
