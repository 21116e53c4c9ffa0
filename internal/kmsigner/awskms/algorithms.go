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
// Ed25519 (RFC 8032), which uses SHA-512 inside.
var awsAlgorithms = map[signer.Algorithm]types.SigningAlgorithmSpec{
	signer.ECDSASHA256:    types.SigningAlgorithmSpecEcdsaSha256,
	signer.ECDSASHA384:    types.SigningAlgorithmSpecEcdsaSha384,
	signer.ECDSASHA512:    types.SigningAlgorithmSpecEcdsaSha512,
	signer.RSAPKCS1SHA256: types.SigningAlgorithmSpecRsassaPkcs1V15Sha256,
	signer.Ed25519:        types.SigningAlgorithmSpecEd25519Sha512,
}

// specs has the key specs that signgate signs with, and signer's name of them.
var specs = map[types.KeySpec]string{
	types.KeySpecEccNistP256:         "P-256",
	types.KeySpecEccNistP384:         "P-384",
	types.KeySpecEccNistP521:         "P-521",
	types.KeySpecRsa2048:             "RSA-2048",
	types.KeySpecRsa3072:             "RSA-3072",
	types.KeySpecRsa4096:             "RSA-4096",
	types.KeySpecEccNistEdwards25519: "Ed25519",
}

// checkSpec refuses keys of other usages and specs: secp256k1 and SM2, which no
// verifier of image signatures reads, and ML-DSA, which is not there yet.
func checkSpec(arn string, out *kms.GetPublicKeyOutput) error {
	if out.KeyUsage != types.KeyUsageTypeSignVerify {
		return fault.Configf("kms_invalid_usage", "use a key that was created with the usage SIGN_VERIFY; the usage of a key cannot be changed",
			"the AWS KMS key %s has the usage %s, so it cannot sign", arn, clean(string(out.KeyUsage)))
	}
	if specs[out.KeySpec] == "" {
		return fault.Configf("key_type_unsupported", "use a key of the spec ECC_NIST_P256, which every verifier reads",
			"the AWS KMS key %s has the spec %s, which signgate does not sign with", arn, clean(string(out.KeySpec)))
	}
	return nil
}

// can reports whether the key signs with alg. What AWS listed at open decides,
// not the curve.
func (k *Key) can(alg signer.Algorithm) bool {
	return alg.Fits(k.public) && slices.Contains(k.algorithms, awsAlgorithms[alg])
}

// algorithmOf returns our name of an algorithm, or AWS's own when there is
// none, for the guard to refuse.
func algorithmOf(spec types.SigningAlgorithmSpec) signer.Algorithm {
	for alg, name := range awsAlgorithms {
		if name == spec {
			return alg
		}
	}
	return signer.Algorithm(clean(string(spec)))
}
