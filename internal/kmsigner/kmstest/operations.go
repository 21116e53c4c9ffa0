package kmstest

import (
	"crypto/rand"

	"filippo.io/mldsa/x509"
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
	if k.state != Enabled {
		return nil, unusable(k.state, k.arn)
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
		"MultiRegion": len(k.members) > 0, "Origin": "AWS_KMS",
	}
	if len(k.members) > 0 {
		metadata["MultiRegionConfiguration"] = k.configuration()
	}
	if k.usage == "SIGN_VERIFY" {
		metadata["SigningAlgorithms"] = k.spec.algorithms()
	}
	return answer{"KeyMetadata": metadata}
}

func (k key) public() (answer, *apiError) {
	if k.private == nil {
		return nil, notAsymmetric(k)
	}
	der, err := x509.MarshalPKIXPublicKey(k.private.Public()) // RFC 9881 for ML-DSA
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
	sig, err := k.private.Sign(rand.Reader, digest, options(in))
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
	if in.MessageType == "EXTERNAL_MU" {
		return nil, refuse("UnsupportedOperationException", "kmstest verifies ML-DSA signatures over the message alone")
	}
	if !verified(k.private.Public(), digest, in.Signature, options(in)) {
		return nil, refuse("KMSInvalidSignatureException", "")
	}
	return answer{"KeyId": k.arn, "SignatureValid": true, "SigningAlgorithm": in.SigningAlgorithm}, nil
}
