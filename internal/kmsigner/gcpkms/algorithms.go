package gcpkms

import (
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// maxData is the most bytes that Cloud KMS takes as a message
// (https://docs.cloud.google.com/kms/docs/create-validate-signatures).
const maxData = 64 << 10

// spec is how a key version of one algorithm is used.
type spec struct {
	algorithm signer.Algorithm
	keyType   string // as signer.KeyType says it
	digest    string // the member of Digest in a request; "" when data is sent
	pqc       bool   // the public key comes as NIST_PQC
}

const externalMu = "externalMu"

// specs has the algorithms that signgate signs with
// (CryptoKeyVersionAlgorithm of the REST reference). EC_SIGN_ED25519 is pure
// Ed25519 (RFC 8032), ML-DSA has an empty context (FIPS 204).
var specs = map[string]spec{
	"EC_SIGN_P256_SHA256":           {signer.ECDSASHA256, "P-256", "sha256", false},
	"EC_SIGN_P384_SHA384":           {signer.ECDSASHA384, "P-384", "sha384", false},
	"EC_SIGN_ED25519":               {signer.Ed25519, "Ed25519", "", false},
	"RSA_SIGN_PKCS1_2048_SHA256":    {signer.RSAPKCS1SHA256, "RSA-2048", "sha256", false},
	"RSA_SIGN_PKCS1_3072_SHA256":    {signer.RSAPKCS1SHA256, "RSA-3072", "sha256", false},
	"RSA_SIGN_PKCS1_4096_SHA256":    {signer.RSAPKCS1SHA256, "RSA-4096", "sha256", false},
	"PQ_SIGN_ML_DSA_44":             {signer.MLDSA44, "ML-DSA-44", "", true},
	"PQ_SIGN_ML_DSA_65":             {signer.MLDSA65, "ML-DSA-65", "", true},
	"PQ_SIGN_ML_DSA_87":             {signer.MLDSA87, "ML-DSA-87", "", true},
	"PQ_SIGN_ML_DSA_44_EXTERNAL_MU": {signer.MLDSA44, "ML-DSA-44", externalMu, true},
	"PQ_SIGN_ML_DSA_65_EXTERNAL_MU": {signer.MLDSA65, "ML-DSA-65", externalMu, true},
	"PQ_SIGN_ML_DSA_87_EXTERNAL_MU": {signer.MLDSA87, "ML-DSA-87", externalMu, true},
}

// refusals says why keys of other algorithms are not used, by the start of
// their names.
var refusals = []struct{ prefix, why string }{
	{"RSA_SIGN_PSS_", "it signs with PSS, and image signatures ask for PKCS #1 v1.5 with SHA-256"},
	{"RSA_SIGN_RAW_PKCS1_", "it signs without naming the hash, and image signatures ask for PKCS #1 v1.5 with SHA-256"},
	{"RSA_SIGN_PKCS1_", "it signs with SHA-512, and image signatures ask for PKCS #1 v1.5 with SHA-256"},
	{"EC_SIGN_SECP256K1_", "no verifier of image signatures reads the curve secp256k1"},
	{"PQ_SIGN_SLH_DSA_", "no verifier of image signatures reads SLH-DSA"},
	{"PQ_SIGN_HASH_SLH_DSA_", "no verifier of image signatures reads SLH-DSA"},
	{"HMAC_", "it is a secret key, so whoever can verify could sign"},
	{"RSA_DECRYPT_", "it decrypts and does not sign"},
	{"GOOGLE_SYMMETRIC_ENCRYPTION", "it encrypts and does not sign"},
	{"EXTERNAL_SYMMETRIC_ENCRYPTION", "it encrypts and does not sign"},
	{"AES_", "it encrypts and does not sign"},
	{"ML_KEM_", "it exchanges keys and does not sign"},
	{"KEM_", "it exchanges keys and does not sign"},
}

// specOf returns how to use a key version. An algorithm that signgate does not
// sign with is a configuration fault with the reason.
func specOf(version, algorithm string) (spec, error) {
	if s, ok := specs[algorithm]; ok {
		return s, nil
	}
	why := "signgate does not know it"
	for _, r := range refusals {
		if strings.HasPrefix(algorithm, r.prefix) {
			why = r.why
			break
		}
	}
	return spec{}, fault.Configf("key_type_unsupported", "use a key of the algorithm EC_SIGN_P256_SHA256, which every verifier reads",
		"the Cloud KMS key %s has the algorithm %s: %s", version, clean(algorithm), why)
}
