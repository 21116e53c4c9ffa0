package awskms

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// maxRaw is the most bytes that AWS KMS takes as a message.
const maxRaw = 4096

// awsAlgorithms has AWS's names of our algorithms. ED25519_SHA_512 is pure
// Ed25519 (RFC 8032), which uses SHA-512 inside; ED25519_PH_SHA_512, which
// hashes twice, is not among them. ML_DSA_SHAKE_256 is one name for the three
// parameter sets, which the key decides.
var awsAlgorithms = map[signer.Algorithm]types.SigningAlgorithmSpec{
	signer.ECDSASHA256:    types.SigningAlgorithmSpecEcdsaSha256,
	signer.ECDSASHA384:    types.SigningAlgorithmSpecEcdsaSha384,
	signer.ECDSASHA512:    types.SigningAlgorithmSpecEcdsaSha512,
	signer.RSAPKCS1SHA256: types.SigningAlgorithmSpecRsassaPkcs1V15Sha256,
	signer.RSAPSSSHA256:   types.SigningAlgorithmSpecRsassaPssSha256,
	signer.Ed25519:        types.SigningAlgorithmSpecEd25519Sha512,
	signer.MLDSA44:        types.SigningAlgorithmSpecMlDsaShake256,
	signer.MLDSA65:        types.SigningAlgorithmSpecMlDsaShake256,
	signer.MLDSA87:        types.SigningAlgorithmSpecMlDsaShake256,
}

// spec is what signgate does with the keys of a key spec.
type spec struct {
	keyType string // signer's name
	alg     signer.Algorithm
}

// specs has the key specs that signgate signs with (CreateKey, AWS KMS API
// reference).
var specs = map[types.KeySpec]spec{
	types.KeySpecEccNistP256:         {"P-256", signer.ECDSASHA256},
	types.KeySpecEccNistP384:         {"P-384", signer.ECDSASHA384},
	types.KeySpecEccNistP521:         {"P-521", signer.ECDSASHA512},
	types.KeySpecRsa2048:             {"RSA-2048", signer.RSAPKCS1SHA256},
	types.KeySpecRsa3072:             {"RSA-3072", signer.RSAPKCS1SHA256},
	types.KeySpecRsa4096:             {"RSA-4096", signer.RSAPKCS1SHA256},
	types.KeySpecEccNistEdwards25519: {"Ed25519", signer.Ed25519},
	types.KeySpecMlDsa44:             {"ML-DSA-44", signer.MLDSA44},
	types.KeySpecMlDsa65:             {"ML-DSA-65", signer.MLDSA65},
	types.KeySpecMlDsa87:             {"ML-DSA-87", signer.MLDSA87},
}

// checkSpec refuses keys of other usages and specs: symmetric keys, and
// secp256k1 and SM2, which no verifier of image signatures reads.
func checkSpec(arn string, usage types.KeyUsageType, keySpec types.KeySpec) error {
	if usage != types.KeyUsageTypeSignVerify {
		return fault.Configf("kms_invalid_usage", "use a key that was created with the usage SIGN_VERIFY; the usage of a key cannot be changed",
			"the AWS KMS key %s has the usage %s, so it cannot sign", arn, clean(string(usage)))
	}
	if specs[keySpec].keyType == "" {
		return fault.Configf("key_type_unsupported", "use a key of the spec ECC_NIST_P256, which every verifier reads",
			"the AWS KMS key %s has the spec %s, which signgate does not sign with", arn, clean(string(keySpec)))
	}
	return nil
}

// can reports whether the key signs with alg. What AWS listed at open decides,
// not the curve.
func (k *Key) can(alg signer.Algorithm) bool {
	return alg.Fits(k.public) && slices.Contains(k.algorithms, awsAlgorithms[alg])
}

// input hashes message here, so that its size does not matter, unless the key
// has to see it. An ML-DSA key sees μ, the 64 bytes that FIPS 204 signs in the
// place of the message (MessageType of Sign, AWS KMS API reference).
func (k *Key) input(arn string, alg signer.Algorithm, message []byte) (*kms.SignInput, error) {
	in := &kms.SignInput{KeyId: &arn, Message: alg.Digest(message), MessageType: types.MessageTypeDigest, SigningAlgorithm: awsAlgorithms[alg]}
	switch {
	case alg.Hash() != 0:
		return in, nil
	case alg != signer.Ed25519:
		mu, err := signer.ExternalMu(k.public, message)
		in.Message, in.MessageType = mu, types.MessageTypeExternalMu
		return in, err
	}
	in.MessageType = types.MessageTypeRaw
	if in.Message == nil {
		in.Message = []byte{} // nil is "not given" for the SDK
	}
	if n := len(message); n > maxRaw {
		return nil, fault.Configf("message_too_long", "use a P-256 key, for which only a digest is sent",
			"AWS KMS signs at most %d bytes with the Ed25519 key %s, but there are %d", maxRaw, k.arn, n)
	}
	return in, nil
}

// algorithmOf returns our name of the algorithm that AWS answered after it was
// asked for alg, or AWS's own when there is none, for the guard to refuse.
func algorithmOf(answered types.SigningAlgorithmSpec, alg signer.Algorithm) signer.Algorithm {
	if answered == awsAlgorithms[alg] {
		return alg
	}
	for ours, name := range awsAlgorithms {
		if name == answered && name != types.SigningAlgorithmSpecMlDsaShake256 {
			return ours
		}
	}
	return signer.Algorithm(clean(string(answered)))
}
