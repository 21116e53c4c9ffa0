package hsm

import (
	"crypto"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/signer"
)

// openssl has every kind of signature verified by somebody else's code, from
// the public key that users are given.
func openssl(t *testing.T, m *module) {
	for _, k := range m.signing() {
		key := open(t, m, m.uri(k.name), m.options())
		for _, alg := range k.algs {
			message := []byte("signed with " + alg)
			sig, err := key.Sign(t.Context(), alg, message)
			if err != nil {
				t.Errorf("%s, %s: %v", k.name, alg, err)
				continue
			}
			if err := verify(t, key.Public(), alg, message, sig.Bytes); err != nil {
				t.Errorf("%s, %s: %v", k.name, alg, err)
			}
			if verify(t, key.Public(), alg, []byte("something else"), sig.Bytes) == nil {
				t.Errorf("%s, %s: openssl accepts the signature of another message", k.name, alg)
			}
		}
	}
}

// ways are how openssl verifies, with names for the files.
var ways = map[signer.Algorithm]string{
	signer.ECDSASHA256:    "dgst -sha256 -verify PEM -signature SIG IN",
	signer.ECDSASHA384:    "dgst -sha384 -verify PEM -signature SIG IN",
	signer.ECDSASHA512:    "dgst -sha512 -verify PEM -signature SIG IN",
	signer.RSAPKCS1SHA256: "dgst -sha256 -verify PEM -signature SIG IN",
	signer.RSAPSSSHA256:   "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify PEM -signature SIG IN",
	signer.Ed25519:        "pkeyutl -verify -rawin -pubin -inkey PEM -sigfile SIG -in IN",
}

func verify(t *testing.T, pub crypto.PublicKey, alg signer.Algorithm, message, sig []byte) error {
	t.Helper()
	der, err := signer.MarshalPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	args, dir := strings.Fields(ways[alg]), t.TempDir()
	for name, data := range map[string][]byte{"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "SIG": sig, "IN": message} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args[slices.Index(args, name)] = path
	}
	_, err = command(t.Context(), nil, "openssl", args...)
	return err
}
