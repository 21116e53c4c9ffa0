package gcpkms

import (
	"context"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// signRequest has either a digest or data, each with its checksum
// (https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign).
// Data may be empty, so nil is what leaves it out.
type signRequest struct {
	Digest       map[string][]byte `json:"digest,omitzero"`
	DigestCRC32C string            `json:"digestCrc32c,omitzero"`
	Data         []byte            `json:"data,omitzero"`
	DataCRC32C   string            `json:"dataCrc32c,omitzero"`
}

// signResponse leaves out what is false or empty, like every proto3 JSON.
type signResponse struct {
	Name            string  `json:"name"`
	Signature       []byte  `json:"signature"`
	SignatureCRC32C *string `json:"signatureCrc32c"`
	DigestVerified  bool    `json:"verifiedDigestCrc32c"`
	DataVerified    bool    `json:"verifiedDataCrc32c"`
}

// Sign makes one attempt to sign message. The API names the key version that
// signed but no algorithm, because a version has one; it was checked at open.
// The request ID stands in the User-Agent that the audit log keeps.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if alg != k.spec.algorithm {
		return signer.Signature{}, signer.ErrUnsupported(k.name, alg, k.public)
	}
	in, err := k.input(message)
	if err != nil {
		return signer.Signature{}, err
	}
	var out signResponse
	id, err := k.client.post(ctx, "asymmetricSign", k.name, k.name+":asymmetricSign", in, &out)
	if err != nil {
		return signer.Signature{}, err
	}
	if err := k.checkAnswer(in, out); err != nil {
		return signer.Signature{}, err
	}
	return signer.Signature{Bytes: out.Signature, KeyID: clean(out.Name), Algorithm: alg, RequestID: id}, nil
}

// input hashes message here, so that its size does not matter, unless the key
// has to see it.
func (k *Key) input(message []byte) (signRequest, error) {
	if k.seesMessage() {
		if n := len(message); n > maxData {
			return signRequest{}, fault.Configf("message_too_long", "use a P-256 key, for which only a digest is sent",
				"Cloud KMS signs at most %d bytes with the key %s (%s), but there are %d", maxData, k.name, k.spec.keyType, n)
		}
		data := append([]byte{}, message...)
		return signRequest{Data: data, DataCRC32C: checksum(data)}, nil
	}
	digest := k.spec.algorithm.Digest(message)
	if k.spec.digest == externalMu {
		var err error
		if digest, err = signer.ExternalMu(k.public, message); err != nil {
			return signRequest{}, err
		}
	}
	return signRequest{Digest: map[string][]byte{k.spec.digest: digest}, DigestCRC32C: checksum(digest)}, nil
}

// seesMessage reports whether the message is sent: external key managers, whose
// levels are EXTERNAL and EXTERNAL_VPC, take no digest.
func (k *Key) seesMessage() bool {
	return k.spec.digest == "" || strings.HasPrefix(k.protection, "EXTERNAL")
}

// checkAnswer checks that the service saw what was sent and that its answer
// arrived whole. A false confirmation may pass with the next attempt, as the
// API reference says.
func (k *Key) checkAnswer(in signRequest, out signResponse) error {
	if out.Name == "" {
		return otherKey(k.name, "a signature", out.Name, "")
	}
	if in.Digest != nil && !out.DigestVerified || in.Data != nil && !out.DataVerified {
		return damaged("Cloud KMS did not confirm the checksum of what it was to sign with " + k.name)
	}
	return verifyChecksum("a signature", k.name, out.Signature, out.SignatureCRC32C)
}
