//go:build containers_image_openpgp

package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
)

// Signing with a key of a type that a stock reader cannot verify warns and
// names that reader, and no other warning names one.
func TestWarningsNameTheReadersThatFail(t *testing.T) {
	kinds := []struct {
		name string
		make func() (crypto.Signer, error)
	}{
		{"P-384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
		{"P-521", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
		{"Ed25519", func() (crypto.Signer, error) {
			_, private, err := ed25519.GenerateKey(rand.Reader)
			return private, err
		}},
	}
	reg := startReferrers(t)
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			private, err := kind.make()
			if err != nil {
				t.Fatal(err)
			}
			k := newFile(t, private)
			img := reg.push(t, "1.0")
			warnings := strings.Join(reg.sign(t, img, both, k).Warnings, "\n")
			reg.signgate(t, passed, "verify", "--trusted-keys", k.public, img.tagged("1.0"))
			fails := map[string]bool{"containers/image": reg.pull(t, k.public, false, img.tagged("1.0")) != nil}
			for i, reader := range readers {
				if slices.Contains(reader.reads, both) && reg.cosignVerify(t, i, k.public, img.at()).code != 0 {
					fails["cosign"] = true
				}
			}
			for _, name := range []string{"cosign", "containers/image"} {
				if warned := strings.Contains(warnings, name); warned != fails[name] {
					t.Errorf("%s cannot verify: %t; a warning names it: %t\n%s", name, fails[name], warned, warnings)
				}
			}
		})
	}
}
