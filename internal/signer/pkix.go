package signer

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"

	"github.com/signgate/signgate/internal/fault"
)

// MarshalPublicKey returns the PKIX DER encoding of pub, a
// SubjectPublicKeyInfo (RFC 5280 section 4.1), for ML-DSA that of RFC 9881
// section 4. It is the one way out for public keys: crypto/x509 of Go 1.26
// does not know ML-DSA. A type without such an encoding is a configuration
// fault ("key_type_unsupported").
func MarshalPublicKey(pub crypto.PublicKey) ([]byte, error) {
	if key, ok := pub.(*mldsa.PublicKey); ok && mldsaAlgorithm(key) == "" {
		return nil, fault.Configf("key_type_unsupported", useTypes, "the ML-DSA public key is empty")
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fault.Configf("key_type_unsupported", useTypes, "a public key of type %T has no PKIX encoding", pub)
	}
	return der, nil
}

var errNotDER = errors.New("the ML-DSA public key is not encoded as RFC 9881 asks")

// ParsePublicKey reads the PKIX DER encoding of one public key and is the one
// way in. It returns *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey or
// *mldsa.PublicKey, or a type that CheckKey refuses. An ML-DSA key has one
// encoding and no other is read: parameters are absent (RFC 9881 section 2)
// and nothing follows the key. The error is plain; the caller knows whose key
// it was.
func ParsePublicKey(der []byte) (crypto.PublicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	if key, ok := pub.(*mldsa.PublicKey); ok {
		if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, der) {
			return nil, errNotDER
		}
	}
	return pub, nil
}

// Fingerprint returns "sha256:" and the hex SHA-256 of the key's PKIX DER
// encoding, re-encoded here so that one key has one fingerprint.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := MarshalPublicKey(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
