package cli

import (
	"context"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// pkcs11 reads the inputs of PKCS#11 keys.
func (r *run) pkcs11() (pkcs11signer.Options, error) {
	o := pkcs11signer.Options{
		Module: r.runner.TranslatePath(r.get("pkcs11-module")), Socket: r.runner.TranslatePath(r.get("pkcs11-socket")),
		InitArgs: r.get("pkcs11-init-args"), KeyPolicy: r.KeyPolicy,
		PIN: r.get("pkcs11-pin"), PINFile: r.runner.TranslatePath(r.get("pkcs11-pin-file")), Getenv: r.process.getenv,
		Workspace: r.process.getenv("GITHUB_WORKSPACE"), AllowWorkspaceModule: r.AllowWorkspaceModule, Warn: r.warn,
	}
	err := r.publicKeys("pkcs11-public-key", func(_ string, _ []byte, keys []envelope.Key) {
		for _, k := range keys {
			o.PublicKeys = append(o.PublicKeys, k.Public)
		}
	})
	return o, err
}

// examineToken examines a PKCS#11 key or, for the empty URI, what is on the
// tokens of the module.
func (r *run) examineToken(ctx context.Context, uri string) []signer.Check {
	opts, err := r.pkcs11()
	if err != nil {
		return []signer.Check{signer.Failed("inputs", err)}
	}
	return pkcs11signer.Examine(ctx, uri, opts)
}
