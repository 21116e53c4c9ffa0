//go:build linux && cgo

package pkcs11signer

import (
	"crypto"
	"crypto/x509"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// publicKey returns the public half of a private key. It looks, in this order,
// for a public object with the same id and type, for a certificate with the
// same id, into the private object itself, and for a public object with the
// same label. Whatever it finds is proved by the first signature, which the
// guard verifies.
func (v view) publicKey(key object, s slot) (crypto.PublicKey, error) {
	kind, err := v.number(key.handle, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, err
	}
	for _, source := range v.sources(key, kind) {
		found, err := source()
		if err != nil {
			return nil, err
		}
		found = distinct(found)
		if len(found) > 1 {
			return nil, fault.Configf("pkcs11_key_ambiguous", "give each key pair an id of its own with the vendor's tool",
				"%d different public keys belong to the private key %s", len(found), key.uri(s))
		}
		if len(found) == 1 {
			return found[0], signer.CheckKey(found[0])
		}
	}
	return nil, fault.Configf("pkcs11_public_missing", "import the public key or its certificate into the token with the same id as the private key",
		"the private key %s has no public key object or certificate on its token", key.uri(s))
}

// sources are the places to look for the public half; each returns what it
// finds.
func (v view) sources(key object, kind uint) []func() ([]crypto.PublicKey, error) {
	id, label := pkcs11.NewAttribute(pkcs11.CKA_ID, key.id), pkcs11.NewAttribute(pkcs11.CKA_LABEL, key.label)
	var list []func() ([]crypto.PublicKey, error)
	if key.id != "" {
		list = append(list,
			func() ([]crypto.PublicKey, error) { return v.publicObjects(kind, id) },
			func() ([]crypto.PublicKey, error) { return v.certificates(kind, id) })
	}
	list = append(list, func() ([]crypto.PublicKey, error) { return v.read(key.handle, kind) })
	if key.label != "" {
		list = append(list, func() ([]crypto.PublicKey, error) { return v.publicObjects(kind, label) })
	}
	return list
}

func (v view) publicObjects(kind uint, by *pkcs11.Attribute) ([]crypto.PublicKey, error) {
	handles, err := v.find([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind), by,
	})
	var found []crypto.PublicKey
	for _, h := range handles {
		keys, err := v.read(h, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, keys...)
	}
	return found, err
}

func (v view) certificates(kind uint, by *pkcs11.Attribute) ([]crypto.PublicKey, error) {
	handles, err := v.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), by})
	var found []crypto.PublicKey
	for _, h := range handles {
		der, err := v.attribute(h, pkcs11.CKA_VALUE)
		if err != nil {
			return nil, err
		}
		if cert, err := x509.ParseCertificate(der); err == nil && keyType(cert.PublicKey) == kind {
			found = append(found, cert.PublicKey)
		}
	}
	return found, err
}

// read returns the public key in an object of the type kind, or nothing when
// the object has none.
func (v view) read(h pkcs11.ObjectHandle, kind uint) ([]crypto.PublicKey, error) {
	first, second, parse := uint(pkcs11.CKA_EC_PARAMS), uint(pkcs11.CKA_EC_POINT), ecKey
	switch kind {
	case keyEC:
	case keyEdwards:
		parse = edwardsKey
	case keyRSA:
		first, second, parse = pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT, rsaKey
	default:
		return nil, fault.Configf("key_type_unsupported", "use P-256, P-384, P-521, RSA 2048 to 4096 or Ed25519",
			"the key on the token has the PKCS#11 key type 0x%X, which is not supported", kind)
	}
	a, err := v.attribute(h, first)
	if err != nil {
		return nil, err
	}
	b, err := v.attribute(h, second)
	if err != nil || len(a) == 0 || len(b) == 0 {
		return nil, err
	}
	pub, err := parse(a, b)
	return []crypto.PublicKey{pub}, err
}

func distinct(keys []crypto.PublicKey) []crypto.PublicKey {
	var list []crypto.PublicKey
next:
	for _, k := range keys {
		for _, have := range list {
			if have.(interface{ Equal(crypto.PublicKey) bool }).Equal(k) {
				continue next
			}
		}
		list = append(list, k)
	}
	return list
}
