package cli

import (
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/pkcs11signer"
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
