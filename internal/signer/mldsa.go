package signer

import (
	"crypto"
	"crypto/sha3"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/fault"
)

// mldsaAlgorithm returns the one algorithm of an ML-DSA key, which is its
// parameter set, and "" for a key that holds nothing.
func mldsaAlgorithm(pub *mldsa.PublicKey) Algorithm {
	if pub == nil || *pub == (mldsa.PublicKey{}) {
		return ""
	}
	switch pub.Parameters() {
	case mldsa.MLDSA44():
		return MLDSA44
	case mldsa.MLDSA65():
		return MLDSA65
	case mldsa.MLDSA87():
		return MLDSA87
	}
	return ""
}

// ExternalMu returns μ, the 64 bytes that stand for message when an ML-DSA key
// signs elsewhere: SHAKE256(SHAKE256(pk, 64) || 0 || 0 || message, 64), which
// is FIPS 204 algorithm 7, line 6, over the M' of algorithm 2 with an empty
// context. A backend that signs an external μ never sees the message; its
// signature verifies over the message like any other. A key of another type is
// a configuration fault ("key_type_unsupported").
func ExternalMu(pub crypto.PublicKey, message []byte) ([]byte, error) {
	key, ok := pub.(*mldsa.PublicKey)
	if !ok || mldsaAlgorithm(key) == "" {
		return nil, fault.Configf("key_type_unsupported", "use an ML-DSA key", "a key of the type %s has no external μ", KeyType(pub))
	}
	h := sha3.NewSHAKE256()
	h.Write(sha3.SumSHAKE256(key.Bytes(), 64)) // tr
	h.Write([]byte{0, 0})                      // pure ML-DSA, a context of no bytes
	h.Write(message)
	mu := make([]byte, 64)
	h.Read(mu)
	return mu, nil
}
