package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	_ "crypto/sha256" // Hash.New for the algorithms below
	_ "crypto/sha512"

	"filippo.io/mldsa"
)

// Algorithm is a signature algorithm with its hash and its encoding.
type Algorithm string

// The algorithms that the formats ask for. ECDSA signatures are ASN.1 DER
// (RFC 3279 section 2.2.3), the salt of PSS is as long as the hash (RFC 8017
// section 8.1), Ed25519 is pure (RFC 8032), ML-DSA is pure with an
// empty context (FIPS 204 algorithms 2 and 3).
const (
	ECDSASHA256    Algorithm = "ecdsa-sha256"
	ECDSASHA384    Algorithm = "ecdsa-sha384"
	ECDSASHA512    Algorithm = "ecdsa-sha512"
	RSAPKCS1SHA256 Algorithm = "rsa-pkcs1v15-sha256"
	RSAPSSSHA256   Algorithm = "rsa-pss-sha256"
	Ed25519        Algorithm = "ed25519"
	MLDSA44        Algorithm = "ml-dsa-44"
	MLDSA65        Algorithm = "ml-dsa-65"
	MLDSA87        Algorithm = "ml-dsa-87"
)

// Hash returns the hash that alg applies to the message, and 0 for Ed25519 and
// ML-DSA, which sign the message itself.
func (alg Algorithm) Hash() crypto.Hash {
	switch alg {
	case ECDSASHA256, RSAPKCS1SHA256, RSAPSSSHA256:
		return crypto.SHA256
	case ECDSASHA384:
		return crypto.SHA384
	case ECDSASHA512:
		return crypto.SHA512
	}
	return 0
}

// Digest returns the hash of message that alg signs, and message itself for
// Ed25519 and ML-DSA. See ExternalMu for ML-DSA keys that are elsewhere.
func (alg Algorithm) Digest(message []byte) []byte {
	if alg.Hash() == 0 {
		return message
	}
	h := alg.Hash().New()
	h.Write(message)
	return h.Sum(nil)
}

// Fits reports whether alg is for keys of pub's type. Any of the three hashes
// fits any curve here; a backend may be narrower. An ML-DSA key fits the
// algorithm of its own parameter set alone.
func (alg Algorithm) Fits(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return alg == ECDSASHA256 || alg == ECDSASHA384 || alg == ECDSASHA512
	case *rsa.PublicKey:
		return alg == RSAPKCS1SHA256 || alg == RSAPSSSHA256
	case ed25519.PublicKey:
		return alg == Ed25519
	case *mldsa.PublicKey:
		return alg != "" && alg == mldsaAlgorithm(k)
	}
	return false
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
		ok = alg.verifyRSA(k, digest, sig) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, digest, sig)
	case *mldsa.PublicKey:
		ok = mldsa.Verify(k, message, sig, nil) == nil
	}
	if !ok {
		return errSignature
	}
	return nil
}

func (alg Algorithm) verifyRSA(k *rsa.PublicKey, digest, sig []byte) error {
	if alg == RSAPSSSHA256 {
		return rsa.VerifyPSS(k, alg.Hash(), digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.VerifyPKCS1v15(k, alg.Hash(), digest, sig)
}

// Usual returns the algorithm that the cosign formats use for keys of pub's
// type: the hash of the curve for ECDSA, PKCS #1 v1.5 with SHA-256 for RSA of any
// size. For ML-DSA, which no cosign release signs with, it is the pure algorithm
// of the key's parameter set, as PublicKeyDetails of protobuf-specs v0.5.1 has it
// (ML_DSA_44, _65, _87). A type that is not supported is the error of CheckKey.
func Usual(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return ECDSASHA256, nil
		case 384:
			return ECDSASHA384, nil
		case 521:
			return ECDSASHA512, nil
		}
	case *rsa.PublicKey:
		return RSAPKCS1SHA256, nil
	case ed25519.PublicKey:
		return Ed25519, nil
	case *mldsa.PublicKey:
		if alg := mldsaAlgorithm(k); alg != "" {
			return alg, nil
		}
	}
	return "", CheckKey(pub)
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
