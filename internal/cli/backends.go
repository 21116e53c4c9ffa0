package cli

import (
	"context"
	"strings"

	"github.com/signgate/signgate/internal/filesigner"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// openKey is the one switch between the backends.
func (r *run) openKey(ctx context.Context, raw string) (signer.Key, error) {
	uri, err := signer.ParseURI(raw)
	if err != nil {
		return nil, err
	}
	switch uri.Backend {
	case signer.AWSKMS:
		return awskms.Open(ctx, uri.Raw, r.aws())
	case signer.GCPKMS:
		return gcpkms.Open(ctx, uri.Raw, r.google())
	case signer.AzureKMS:
		return azurekms.Open(ctx, uri.Raw, r.azure())
	case signer.HashiVault:
		return hashivault.Open(ctx, uri.Raw, r.vault())
	case signer.PKCS11:
		opts, err := r.pkcs11()
		if err != nil {
			return nil, err
		}
		return pkcs11signer.Open(ctx, uri.Raw, opts)
	}
	if !r.process.Demo {
		r.warn("the key is a file: whoever can read the file can sign; use a KMS or an HSM for releases")
	}
	if !strings.HasPrefix(uri.Raw, "env://") {
		uri.Raw = r.runner.TranslatePath(uri.Raw)
	}
	return filesigner.Open(ctx, uri.Raw, filesigner.Options{LookupEnv: r.process.lookup})
}

// examineBackend asks a backend about a key: credentials, endpoint, state, the
// permission to sign. A file has nothing to ask before the key is opened.
func (r *run) examineBackend(ctx context.Context, uri signer.URI) []signer.Check {
	switch uri.Backend {
	case signer.AWSKMS:
		return awskms.Examine(ctx, uri.Raw, r.aws())
	case signer.GCPKMS:
		return gcpkms.Examine(ctx, uri.Raw, r.google())
	case signer.AzureKMS:
		return azurekms.Examine(ctx, uri.Raw, r.azure())
	case signer.HashiVault:
		return hashivault.Examine(ctx, uri.Raw, r.vault())
	case signer.PKCS11:
		return r.examineToken(ctx, uri.Raw)
	}
	return nil
}

// examines reports whether examineBackend finds out if the key may sign; the
// others make a trial signature.
func examines(b signer.Backend) bool { return b != signer.File && b != signer.PKCS11 }

func (r *run) aws() awskms.Options {
	return awskms.Options{LookupEnv: r.process.lookup, Notice: r.notice, Retry: r.keyRetry()}
}

func (r *run) google() gcpkms.Options {
	return gcpkms.Options{LookupEnv: r.process.lookup, TranslatePath: r.runner.TranslatePath, Notice: r.notice, Mask: r.runner.Mask, Retry: r.keyRetry()}
}

func (r *run) azure() azurekms.Options {
	return azurekms.Options{LookupEnv: r.process.lookup, Notice: r.notice, Mask: r.runner.Mask, Retry: r.keyRetry()}
}

func (r *run) vault() hashivault.Options {
	return hashivault.Options{LookupEnv: r.process.lookup, TranslatePath: r.runner.TranslatePath, Notice: r.notice, Mask: r.runner.Mask, Retry: r.keyRetry()}
}

func (r *run) notice(text string) { r.say("%s", text) }
