package kmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"slices"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
)

// muSize is the length of an external μ (FIPS 204, algorithm 7).
const muSize = 64

// digest checks what can be checked before the key is used and returns the
// bytes that the key signs. The order is that of the service: usage, algorithm,
// message type, length, and the dry run last.
func (k key) digest(operation string, in input) ([]byte, *apiError) {
	if k.usage != "SIGN_VERIFY" {
		return nil, wrongUsage(k, operation)
	}
	if !slices.Contains(k.spec.algorithms(), in.SigningAlgorithm) {
		return nil, wrongAlgorithm(k, in.SigningAlgorithm)
	}
	message, failure := k.message(in)
	if failure == nil && in.DryRun {
		failure = dryRun()
	}
	return message, failure
}

// message returns what crypto.Signer takes: a digest, μ, or the message for
// keys that hash it themselves.
func (k key) message(in input) ([]byte, *apiError) {
	isMLDSA := in.SigningAlgorithm == "ML_DSA_SHAKE_256"
	hash := hashOf(in.SigningAlgorithm)
	switch {
	case in.MessageType == "EXTERNAL_MU" && !isMLDSA, in.MessageType == "DIGEST" && hash == 0:
		return nil, wrongType(k, in.MessageType)
	case in.MessageType == "EXTERNAL_MU" && len(in.Message) != muSize, in.MessageType == "DIGEST" && len(in.Message) != hash.Size():
		return nil, wrongLength(in.SigningAlgorithm)
	case in.MessageType == "RAW" && hash != 0:
		h := hash.New()
		h.Write(in.Message)
		return h.Sum(nil), nil
	}
	return in.Message, nil
}

// algorithms returns the signing algorithms of a spec. RSA lists PKCS#1 first,
// as AWS was seen to do (sigstore/cosign#3807).
func (spec Spec) algorithms() []string {
	switch spec {
	case P256:
		return []string{"ECDSA_SHA_256"}
	case P384:
		return []string{"ECDSA_SHA_384"}
	case P521:
		return []string{"ECDSA_SHA_512"}
	case Ed25519:
		return []string{"ED25519_SHA_512"}
	case MLDSA44, MLDSA65, MLDSA87:
		return []string{"ML_DSA_SHAKE_256"}
	}
	return []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
}

// hashOf returns the hash that an algorithm applies to a message that comes RAW,
// and 0 for keys that do more than hash it.
func hashOf(algorithm string) crypto.Hash {
	switch {
	case strings.HasPrefix(algorithm, "ED25519"), strings.HasPrefix(algorithm, "ML_DSA"):
		return 0
	case strings.HasSuffix(algorithm, "256"):
		return crypto.SHA256
	case strings.HasSuffix(algorithm, "384"):
		return crypto.SHA384
	}
	return crypto.SHA512
}

// options returns how crypto.Signer has to sign. A PSS salt is as long as the
// hash.
func options(in input) crypto.SignerOpts {
	hash := hashOf(in.SigningAlgorithm)
	switch {
	case in.MessageType == "EXTERNAL_MU":
		return mldsacrypto.MLDSAMu
	case strings.HasPrefix(in.SigningAlgorithm, "RSASSA_PSS"):
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return hash
}

func verified(public crypto.PublicKey, digest, sig []byte, opts crypto.SignerOpts) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, sig)
	case *mldsa.PublicKey:
		return mldsa.Verify(public, digest, sig, nil) == nil
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, pss.Hash, digest, sig, pss) == nil
		}
		return rsa.VerifyPKCS1v15(public, opts.HashFunc(), digest, sig) == nil
	}
	return false
}
