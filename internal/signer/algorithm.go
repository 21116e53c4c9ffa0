package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	_ "crypto/sha256" // Hash.New for the algorithms below
	_ "crypto/sha512"

	"github.com/signgate/signgate/internal/fault"
)

// Algorithm is a signature algorithm with its hash and its encoding.
type Algorithm string

// The algorithms that the formats ask for. ECDSA signatures are ASN.1 DER
// (RFC 3279 section 2.2.3), Ed25519 is pure (RFC 8032).
const (
	ECDSASHA256    Algorithm = "ecdsa-sha256"
	ECDSASHA384    Algorithm = "ecdsa-sha384"
	ECDSASHA512    Algorithm = "ecdsa-sha512"
	RSAPKCS1SHA256 Algorithm = "rsa-pkcs1v15-sha256"
	Ed25519        Algorithm = "ed25519"
)

// Hash returns the hash that alg applies to the message, and 0 for Ed25519,
// which signs the message itself.
func (alg Algorithm) Hash() crypto.Hash {
	switch alg {
	case ECDSASHA256, RSAPKCS1SHA256:
		return crypto.SHA256
	case ECDSASHA384:
		return crypto.SHA384
	case ECDSASHA512:
		return crypto.SHA512
	}
	return 0
}

// Digest returns the hash of message that alg signs, and message itself for
// Ed25519.
func (alg Algorithm) Digest(message []byte) []byte {
	if alg.Hash() == 0 {
		return message
	}
	h := alg.Hash().New()
	h.Write(message)
	return h.Sum(nil)
}

// CheckKey reports whether pub is of a kind and size that signgate signs and
// verifies with: P-256, P-384, P-521, RSA of 2048 to 4096 bits, Ed25519. It
// returns a configuration fault with the code "key_type_unsupported" otherwise.
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
	}
	return fault.Configf("key_type_unsupported", "use P-256, P-384, P-521, RSA 2048 to 4096 or Ed25519",
		"the key type %s is not supported", kind)
}

// KeyType returns the field's name of pub's type: "P-256", "RSA-3072",
// "Ed25519".
func KeyType(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", pub)
}

// Fits reports whether alg is for keys of pub's type. Any of the three hashes
// fits any curve here; a backend may be narrower.
func (alg Algorithm) Fits(pub crypto.PublicKey) bool {
	switch pub.(type) {
	case *ecdsa.PublicKey:
		return alg == ECDSASHA256 || alg == ECDSASHA384 || alg == ECDSASHA512
	case *rsa.PublicKey:
		return alg == RSAPKCS1SHA256
	case ed25519.PublicKey:
		return alg == Ed25519
	}
	return false
}

// ErrUnsupported returns the fault of a key that cannot do alg.
func ErrUnsupported(keyID string, alg Algorithm, pub crypto.PublicKey) error {
	return fault.Configf("algorithm_unsupported", "use a key of another type, P-256 where you can choose",
		"the key %s (%s) cannot sign with %s", keyID, KeyType(pub), alg)
}

var errSignature = errors.New("the signature does not verify")

// Verify checks sig over message with pub. ECDSA signatures have to be
// canonical DER of two positive integers, so that one signature has one
// encoding; the size of s is not restricted. It returns nil only when the
// signature verifies.
func (alg Algorithm) Verify(pub crypto.PublicKey, message, sig []byte) error {
	if !alg.Fits(pub) {
		return fmt.Errorf("%s is not an algorithm for %s keys", alg, KeyType(pub))
	}
	digest, ok := alg.Digest(message), false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		ok = canonicalDER(sig) && ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(k, alg.Hash(), digest, sig) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, digest, sig)
	}
	if !ok {
		return errSignature
	}
	return nil
}

func canonicalDER(sig []byte) bool {
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(sig, &rs)
	if err != nil || len(rest) != 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 {
		return false
	}
	again, err := asn1.Marshal(rs)
	return err == nil && string(again) == string(sig)
}
