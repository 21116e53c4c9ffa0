package kmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
)

// run answers an operation whose parameters are in order.
func (s *Server) run(operation string, in input) (answer, *apiError) {
	s.mu.Lock()
	found, failure := s.resolve(in.KeyID)
	if failure != nil {
		s.mu.Unlock()
		return nil, failure
	}
	k := *found // the state of this moment
	s.mu.Unlock()
	if operation == "DescribeKey" {
		return s.describe(k), nil
	}
	if failure := k.available(); failure != nil {
		return nil, failure
	}
	switch operation {
	case "GetPublicKey":
		return k.public()
	case "Sign":
		return k.sign(in)
	}
	return k.verify(in)
}

func (s *Server) describe(k key) answer {
	metadata := answer{
		"AWSAccountId": s.opts.Account, "Arn": k.arn, "CreationDate": float64(k.created.UnixMilli()) / 1000,
		"CustomerMasterKeySpec": k.spec, "Description": "", "Enabled": k.state == Enabled, "KeyId": k.id,
		"KeyManager": "CUSTOMER", "KeySpec": k.spec, "KeyState": k.state, "KeyUsage": k.usage,
		"MultiRegion": false, "Origin": "AWS_KMS",
	}
	if k.usage == "SIGN_VERIFY" {
		metadata["SigningAlgorithms"] = k.spec.algorithms()
	}
	return answer{"KeyMetadata": metadata}
}

func (k key) public() (answer, *apiError) {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, internal()
	}
	out := answer{"CustomerMasterKeySpec": k.spec, "KeyId": k.arn, "KeySpec": k.spec, "KeyUsage": k.usage, "PublicKey": der}
	if k.usage == "SIGN_VERIFY" {
		out["SigningAlgorithms"] = k.spec.algorithms()
	}
	return out, nil
}

func (k key) sign(in input) (answer, *apiError) {
	digest, failure := k.digest("Sign", in)
	if failure != nil {
		return nil, failure
	}
	sig, err := k.private.Sign(rand.Reader, digest, options(in.SigningAlgorithm))
	if err != nil {
		return nil, internal()
	}
	return answer{"KeyId": k.arn, "Signature": sig, "SigningAlgorithm": in.SigningAlgorithm}, nil
}

func (k key) verify(in input) (answer, *apiError) {
	digest, failure := k.digest("Verify", in)
	if failure != nil {
		return nil, failure
	}
	if !verified(k.private.Public(), digest, in.Signature, options(in.SigningAlgorithm)) {
		return nil, refuse("KMSInvalidSignatureException", "")
	}
	return answer{"KeyId": k.arn, "SignatureValid": true, "SigningAlgorithm": in.SigningAlgorithm}, nil
}

// digest checks what can be checked before the key is used and returns the
// bytes that the key signs.
func (k key) digest(operation string, in input) ([]byte, *apiError) {
	if k.usage != "SIGN_VERIFY" {
		return nil, refuse("InvalidKeyUsageException", "%s key usage is %s which is not valid for %s.", k.arn, k.usage, operation)
	}
	if !slices.Contains(k.spec.algorithms(), in.SigningAlgorithm) {
		return nil, refuse("InvalidKeyUsageException", "Algorithm %s is incompatible with key spec %s.", in.SigningAlgorithm, k.spec)
	}
	hash, message := options(in.SigningAlgorithm).HashFunc(), in.Message
	switch {
	case in.MessageType == "EXTERNAL_MU", in.MessageType == "DIGEST" && hash == 0:
		return nil, refuse("ValidationException", "Message type %s is incompatible with key spec %s.", in.MessageType, k.spec)
	case in.MessageType == "DIGEST" && len(message) != hash.Size():
		return nil, refuse("ValidationException", "Digest is invalid length for algorithm %s.", in.SigningAlgorithm)
	case in.MessageType == "RAW" && hash != 0:
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	if in.DryRun {
		return nil, refuse("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	return message, nil
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
	}
	return []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
}

// options returns how crypto.Signer has to sign for an algorithm. A PSS salt is
// as long as the hash.
func options(algorithm string) crypto.SignerOpts {
	var hash crypto.Hash
	switch {
	case strings.HasPrefix(algorithm, "ED25519"):
		return crypto.Hash(0)
	case strings.HasSuffix(algorithm, "256"):
		hash = crypto.SHA256
	case strings.HasSuffix(algorithm, "384"):
		hash = crypto.SHA384
	default:
		hash = crypto.SHA512
	}
	if strings.HasPrefix(algorithm, "RSASSA_PSS") {
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
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, pss.Hash, digest, sig, pss) == nil
		}
		return rsa.VerifyPKCS1v15(public, opts.HashFunc(), digest, sig) == nil
	}
	return false
}

func internal() *apiError {
	return &apiError{http.StatusInternalServerError, "KMSInternalException", "An internal error occurred."}
}
