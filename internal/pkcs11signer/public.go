//go:build linux && cgo

package pkcs11signer

import (
	"cmp"
	"crypto"
	"crypto/x509"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// half is the public half of a key and where it was found.
type half struct {
	key    crypto.PublicKey
	source string
}

// publicKey returns the public half of a private key. It looks, in this order,
// for a public object with the same id and type, for a certificate with the
// same id, into the private object itself, for a public object with the same
// label, and among the keys that were given. Whatever it finds is proved by the
// first signature, which the guard verifies.
func (v view) publicKey(key object, s slot, given []crypto.PublicKey) (half, error) {
	kind, err := v.number(key.handle, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return half{}, err
	}
	var unreadable error
	for _, source := range append(v.sources(key, kind), supplied(kind, given)) {
		found, err := source.find()
		if gone(err) {
			return half{}, err
		}
		if err != nil {
			unreadable = cmp.Or(unreadable, err) // another place may have it whole
			continue
		}
		found = distinct(found)
		if len(found) > 1 {
			return half{}, fault.Configf("pkcs11_key_ambiguous", source.next,
				"%d different public keys could belong to the private key %s, by %s", len(found), key.uri(s), source.name)
		}
		if len(found) == 1 {
			return half{found[0], source.name}, signer.CheckKey(found[0])
		}
	}
	if unreadable != nil {
		return half{}, unreadable
	}
	return half{}, fault.Configf("pkcs11_public_missing",
		"give the public key in pkcs11-public-key, or import it or its certificate into the token with the same id as the private key",
		"the private key %s has no public key object or certificate on its token", key.uri(s))
}

// source is a place to look for the public half.
type source struct {
	name string
	next string // what to do about several answers
	find func() ([]crypto.PublicKey, error)
}

// The places that pair halves by what nobody keeps unique.
const (
	byLabel            = "the public key object with the same label"
	certificateByLabel = "the certificate with the same label"
	bySupply           = "pkcs11-public-key"
)

// proved reports whether the token itself ties the public half to the private
// one. Otherwise only a signature does.
func (h half) proved() bool {
	return h.source != byLabel && h.source != certificateByLabel && h.source != bySupply
}

// sources are the places on the token; each returns what it finds.
func (v view) sources(key object, kind uint) []source {
	id, label := pkcs11.NewAttribute(pkcs11.CKA_ID, key.id), pkcs11.NewAttribute(pkcs11.CKA_LABEL, key.label)
	const next = "give each key pair an id of its own with the vendor's tool"
	var list []source
	if key.id != "" {
		list = append(list,
			source{"the public key object with the same id", next, func() ([]crypto.PublicKey, error) { return v.publicObjects(kind, id) }},
			source{"the certificate with the same id", next, func() ([]crypto.PublicKey, error) { return v.certificates(kind, id) }})
	}
	list = append(list,
		source{"the private key object", next, func() ([]crypto.PublicKey, error) { return v.read(key.handle, kind) }},
		source{"CKA_PUBLIC_KEY_INFO of the private key", next, func() ([]crypto.PublicKey, error) { return v.info(key.handle, kind) }})
	if key.label != "" {
		list = append(list,
			source{byLabel, next, func() ([]crypto.PublicKey, error) { return v.publicObjects(kind, label) }},
			source{certificateByLabel, next, func() ([]crypto.PublicKey, error) { return v.certificates(kind, label) }})
	}
	return list
}

// supplied is the place for the keys that the options gave: the one of the
// private key's type.
func supplied(kind uint, given []crypto.PublicKey) source {
	return source{bySupply, "give the public key of this key alone", func() (found []crypto.PublicKey, err error) {
		for _, k := range given {
			if keyType(k) == kind {
				found = append(found, k)
			}
		}
		return found, nil
	}}
}

// info reads the SubjectPublicKeyInfo that modules of PKCS#11 2.40 may keep with
// the private key.
func (v view) info(h pkcs11.ObjectHandle, kind uint) ([]crypto.PublicKey, error) {
	der, err := v.attribute(h, pkcs11.CKA_PUBLIC_KEY_INFO)
	if err != nil || len(der) == 0 {
		return nil, err
	}
	if pub, err := x509.ParsePKIXPublicKey(der); err == nil && keyType(pub) == kind {
		return []crypto.PublicKey{pub}, nil
	}
	return nil, nil // several modules put something else there
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
	values, err := v.attributes(h, first, second)
	if err != nil || len(values[0]) == 0 || len(values[1]) == 0 {
		return nil, err
	}
	pub, err := parse(values[0], values[1])
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
