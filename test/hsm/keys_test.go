package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
)

// The keys beside those of keyTypes.
const (
	bare      = "bare"      // its public object was deleted
	certified = "certified" // a certificate took the place of its public object
	guarded   = "guarded"   // it wants the PIN for each signature
)

// makeKeys makes the keys of this module by its own C_GenerateKeyPair, with no
// more in the template than pkcs11-tool puts there.
func (m *module) makeKeys(ctx context.Context) error {
	m.made, m.half = map[string]error{}, map[string]crypto.PublicKey{}
	for _, k := range keyTypes {
		m.made[k.name] = m.makeKey(ctx, k.tool, id(k), k.name)
		if err := m.made[k.name]; err != nil && m.reaches(k) != unmade {
			return err
		}
	}
	kind := m.favourite().tool
	if err := m.makeKey(ctx, kind, "0a", bare); err != nil {
		return err
	}
	if err := m.hide(ctx, "0a", bare); err != nil {
		return err
	}
	if err := m.makeCertified(ctx, kind); err != nil {
		return err
	}
	m.made[guarded] = m.makeKey(ctx, kind, "0c", guarded, "--always-auth")
	if m.guards == unmade {
		return nil
	}
	return m.made[guarded]
}

func (m *module) makeKey(ctx context.Context, kind, id, label string, more ...string) error {
	return m.tool(ctx, append([]string{"--keypairgen", "--key-type", kind, "--id", id, "--label", label, "--usage-sign"}, more...)...)
}

// makeCertified makes a key that has a certificate and no public object.
func (m *module) makeCertified(ctx context.Context, kind string) error {
	if err := m.makeKey(ctx, kind, "0b", certified); err != nil {
		return err
	}
	if err := m.hide(ctx, "0b", certified); err != nil {
		return err
	}
	der, err := certify(m.half[certified])
	if err != nil {
		return err
	}
	file := filepath.Join(m.dir, "certificate.der")
	if err := os.WriteFile(file, der, 0o600); err != nil {
		return err
	}
	return m.tool(ctx, "--write-object", file, "--type", "cert", "--id", "0b", "--label", certified)
}

// hide reads a public object and deletes it.
func (m *module) hide(ctx context.Context, id, label string) error {
	file := filepath.Join(m.dir, label+".der")
	if err := m.tool(ctx, "--read-object", "--type", "pubkey", "--id", id, "--output-file", file); err != nil {
		return err
	}
	der, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if m.half[label], err = x509.ParsePKIXPublicKey(der); err != nil {
		return fmt.Errorf("reading the public key %s: %w", label, err)
	}
	return m.tool(ctx, "--delete-object", "--type", "pubkey", "--id", id)
}

// certify returns a certificate of pub.
func certify(pub crypto.PublicKey) ([]byte, error) {
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return x509.CreateCertificate(rand.Reader, template, template, pub, issuer)
}

// id is the CKA_ID of a type's key, in hexadecimal: its line in keyTypes.
func id(k keyType) string {
	return fmt.Sprintf("%02x", 1+slices.IndexFunc(keyTypes, func(other keyType) bool { return other.name == k.name }))
}

func (m *module) reaches(k keyType) reach { return k.reach[m.column] }

// favourite is the first type of key that the module signs with: P-256 where it can.
func (m *module) favourite() keyType { return m.signing()[0] }

// signing are the types of key that the module signs with.
func (m *module) signing() []keyType {
	return slices.DeleteFunc(slices.Clone(keyTypes), func(k keyType) bool { return m.reaches(k) != signs })
}
