package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"strings"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/fault"
)

// useTypes is the next step of a fault about a key's type.
const useTypes = "use P-256, P-384, P-521, RSA 2048 to 4096, Ed25519 or ML-DSA"

// CheckKey reports whether pub is of a kind and size that signgate signs and
// verifies with: P-256, P-384, P-521, RSA of 2048 to 4096 bits, Ed25519,
// ML-DSA-44, ML-DSA-65, ML-DSA-87. It returns a configuration fault with the
// code "key_type_unsupported" otherwise.
func CheckKey(pub crypto.PublicKey) error {
	kind := fmt.Sprintf("%T", pub)
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		kind = "EC on the curve " + k.Curve.Params().Name
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 4096 {
			return nil
		}
		kind = fmt.Sprintf("RSA of %d bits", k.N.BitLen())
	case ed25519.PublicKey:
		return nil
	case *mldsa.PublicKey:
		if mldsaAlgorithm(k) != "" {
			return nil
		}
		kind = "ML-DSA without a key"
	}
	return fault.Configf("key_type_unsupported", useTypes, "the key type %s is not supported", kind)
}

// KeyType returns the field's name of pub's type: "P-256", "RSA-3072",
// "Ed25519", "ML-DSA-65".
func KeyType(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	case *mldsa.PublicKey:
		if alg := mldsaAlgorithm(k); alg != "" {
			return strings.ToUpper(string(alg))
		}
	}
	return fmt.Sprintf("%T", pub)
}

// ErrUnsupported returns the fault of a key that cannot do alg.
func ErrUnsupported(keyID string, alg Algorithm, pub crypto.PublicKey) error {
	return fault.Configf("algorithm_unsupported", "use a key of another type, P-256 where you can choose",
		"the key %s (%s) cannot sign with %s", keyID, KeyType(pub), alg)
}
