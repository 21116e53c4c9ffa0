package azurekms

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// trial is what Examine signs. It is no payload of any format.
const trial = "signgate doctor: a trial signature that stands for nothing\n"

// Examine looks at everything that signing with the key at uri depends on and
// makes a trial signature, because Key Vault has no dry run. It publishes
// nothing. The first lines that fail may hide later ones.
func Examine(ctx context.Context, uri string, opts Options) []signer.Check {
	v, err := connect(uri, opts)
	if err != nil {
		return []signer.Check{failed(err)}
	}
	checks := []signer.Check{signer.Good("vault", "%s of the cloud %s at %s, login at %s", v.ref.place.service, v.ref.place.cloud, v.ref.host, v.ref.place.logins[0])}
	bundle, err := v.read(ctx, opts.Retry)
	if err != nil && failed(err).Name == "credentials" {
		return append(checks, failed(err))
	}
	checks = append(checks, v.credentials())
	if err != nil {
		return append(checks, failed(err))
	}
	if bundle.Key == nil {
		bundle.Key = new(azkeys.JSONWebKey)
	}
	checks = append(checks, v.describe(bundle)...)
	key, err := newKey(v, bundle)
	if err != nil {
		return append(checks, failed(err))
	}
	return append(checks, key.describe(), key.try(ctx, opts))
}

// credentials says who asked, once the vault has been asked.
func (v *vault) credentials() signer.Check {
	c := signer.Good("credentials", "%s", v.login.who())
	if strings.HasPrefix(c.Fact, "AZURE_CLIENT_SECRET") {
		c.Status, c.Next = signer.Warn, "give the application a federated credential instead; a client secret is stolen with whatever holds it"
	}
	return c
}

func (k *Key) describe() signer.Check {
	fingerprint, err := signer.Fingerprint(k.public)
	if err != nil {
		return failed(err)
	}
	return signer.Good("public key", "%s, %s, for expected-key; signs with %s", signer.KeyType(k.public), fingerprint, azureAlgorithms[k.alg])
}

// describe reports what the vault says of the key.
func (v *vault) describe(bundle azkeys.KeyBundle) []signer.Check {
	key := signer.Good("key", "%s", v.ref)
	if bundle.Key.KID != nil {
		key.Fact = clean(string(*bundle.Key.KID))
	}
	version := signer.Good("version", "the URI names it")
	if v.ref.version == "" {
		version = signer.Good("version", "the current one is used; a rotation changes the key that signs, and expected-key then refuses it")
	}
	usage := signer.Good("operations", "%s", operations(bundle.Key))
	if !signs(bundle.Key) {
		usage.Status, usage.Next = signer.Fail, "use a key whose key operations include sign"
	}
	protection := "software, in the vault"
	if _, hsm := kind(bundle.Key.Kty); hsm {
		protection = "HSM"
		if a := bundle.Attributes; a != nil && a.HSMPlatform != nil {
			protection += ", platform " + clean(*a.HSMPlatform)
		}
	}
	return []signer.Check{key, version, state(bundle.Attributes, time.Now()), usage, signer.Good("protection", "%s", protection)}
}

// soon is how long before its end a key is warned about.
const soon = 30 * 24 * time.Hour

// state reports whether the key is enabled and in its validity period. By the
// clock of this machine: the trial signature has the last word.
func state(a *azkeys.KeyAttributes, now time.Time) signer.Check {
	if a == nil {
		return signer.Good("state", "the vault says nothing of it")
	}
	fact := []string{"enabled"}
	status, next := signer.OK, ""
	worse := func(to signer.Status, do string) {
		if status != signer.Fail {
			status, next = to, do
		}
	}
	if a.Expires != nil {
		fact = append(fact, "expires "+a.Expires.UTC().Format(time.RFC3339))
		if left := a.Expires.Sub(now); left <= 0 {
			worse(signer.Fail, "extend its expiration date, or set key to its replacement")
		} else if left < soon {
			worse(signer.Warn, "rotate the key, or extend its expiration date")
		}
	}
	if a.NotBefore != nil {
		fact = append(fact, "valid from "+a.NotBefore.UTC().Format(time.RFC3339))
		if a.NotBefore.After(now) {
			worse(signer.Fail, "wait for its activation date, or change it")
		}
	}
	if a.Enabled != nil && !*a.Enabled {
		fact[0], status, next = "disabled", signer.Fail, "enable it, or set key to its replacement"
	}
	return signer.Check{Name: "state", Status: status, Fact: strings.Join(fact, ", "), Next: next}
}

// try signs the trial text through the guard, which verifies the signature.
func (k *Key) try(ctx context.Context, opts Options) signer.Check {
	guarded, err := signer.Guard(k, opts.Retry)
	if err == nil {
		_, err = guarded.Sign(ctx, k.alg, []byte(trial))
	}
	if err != nil {
		c := failed(err)
		c.Name = "permission to sign"
		return c
	}
	return signer.Good("permission to sign", "a trial signature was made and verified here")
}

// failed turns a fault into the line that it belongs to.
func failed(err error) signer.Check {
	c := signer.Failed("key", err)
	switch code := fault.CodeOf(err); {
	case strings.HasPrefix(code, "azure_"):
		c.Name = "credentials"
	case code == "kms_access_denied":
		c.Name = "permission to read"
	case code == "kms_tls", code == "kms_unavailable":
		c.Name = "vault"
	}
	return c
}

// operations lists what a key may be used for.
func operations(jwk *azkeys.JSONWebKey) string {
	var all []string
	for _, op := range jwk.KeyOps {
		if op != nil {
			all = append(all, clean(string(*op)))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
