package gcptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"hash/crc32"
	"strconv"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
)

func checksum(data []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10)
}

// run answers an operation.
func (s *Server) run(req request) (answer, *apiError) {
	if req.operation == "cryptoKeyVersions.list" {
		return s.list(req)
	}
	s.mu.Lock()
	found, failure := s.find(req.resource)
	if failure != nil {
		s.mu.Unlock()
		return nil, failure
	}
	v := *found // the state of this moment
	s.mu.Unlock()
	if !v.asymmetric() {
		return nil, refuse("INVALID_ARGUMENT", "The purpose of the key of %s is not ASYMMETRIC_SIGN or ASYMMETRIC_DECRYPT.", v.name)
	}
	if req.operation == "getPublicKey" {
		return v.publicKey(req.query.Get("publicKeyFormat"))
	}
	return v.sign(req.body)
}

func (v version) asymmetric() bool {
	return v.private != nil || strings.HasPrefix(string(v.algorithm), "EC_SIGN_") || strings.Contains(string(v.algorithm), "SLH_DSA")
}

// list answers one page of versions. The filter is the one that clients of
// signgate use; others are refused.
func (s *Server) list(req request) (answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[req.resource]
	filter := req.query.Get("filter")
	start, err := strconv.Atoi("0" + req.query.Get("pageToken"))
	switch {
	case k == nil:
		return nil, refuse("NOT_FOUND", "CryptoKey %s not found.", req.resource)
	case filter != "" && filter != "state=ENABLED":
		return nil, refuse("INVALID_ARGUMENT", "Invalid filter.")
	case err != nil || start > len(k.versions):
		return nil, refuse("INVALID_ARGUMENT", "Invalid page token.")
	}
	page, end := []any{}, min(start+s.opts.PageSize, len(k.versions))
	for _, v := range k.versions[start:end] {
		if filter == "" || v.state == Enabled {
			page = append(page, answer{"name": v.name, "state": v.state, "algorithm": v.algorithm, "protectionLevel": v.protection})
		}
	}
	out := answer{"cryptoKeyVersions": page, "totalSize": len(k.versions)}
	if end < len(k.versions) {
		out["nextPageToken"] = strconv.Itoa(end)
	}
	return out, nil
}

// publicKey answers pem without a format, and publicKey with one. Post-quantum
// keys have the format NIST_PQC only, which the client has to ask for.
func (v version) publicKey(format string) (answer, *apiError) {
	if failure := v.usable(); failure != nil {
		return nil, failure
	}
	out := answer{"name": v.name, "algorithm": v.algorithm, "protectionLevel": v.protection}
	if strings.HasPrefix(string(v.algorithm), "PQ_") {
		if format != "NIST_PQC" {
			return nil, refuse("INVALID_ARGUMENT", "Only NIST_PQC format is supported for this algorithm.")
		}
		raw := make([]byte, 32) // of SLH-DSA, which nobody here verifies
		if key, ok := v.private.(*mldsa.PrivateKey); ok {
			raw = key.PublicKey().Bytes()
		}
		out["publicKeyFormat"], out["publicKey"] = format, answer{"data": raw, "crc32cChecksum": checksum(raw)}
		return out, nil
	}
	if format != "" {
		return nil, refuse("INVALID_ARGUMENT", "%s format is not supported for this algorithm.", format)
	}
	der := secp256k1
	if v.private != nil {
		var err error
		if der, err = x509.MarshalPKIXPublicKey(v.private.Public()); err != nil {
			return nil, refuse("INTERNAL", "Internal error encountered.")
		}
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	out["publicKeyFormat"], out["pem"], out["pemCrc32c"] = "PEM", text, checksum([]byte(text))
	return out, nil
}

// secp256k1 is the SubjectPublicKeyInfo of the generator of that curve.
var secp256k1 = append([]byte("\x30\x56\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a\x03\x42\x00\x04"),
	"\x79\xbe\x66\x7e\xf9\xdc\xbb\xac\x55\xa0\x62\x95\xce\x87\x0b\x07\x02\x9b\xfc\xdb\x2d\xce\x28\xd9\x59\xf2\x81\x5b\x16\xf8\x17\x98"+
		"\x48\x3a\xda\x77\x26\xa3\xc4\x65\x5d\xa4\xfb\xfc\x0e\x11\x08\xa8\xfd\x17\xb4\x48\xa6\x85\x54\x19\x9c\x47\xd0\x8f\xfb\x10\xd4\xb8"...)

// sign checks the request and then the version, and signs.
func (v version) sign(body []byte) (answer, *apiError) {
	in, failure := decode(body)
	if failure != nil {
		return nil, failure
	}
	if failure := v.usable(); failure != nil {
		return nil, failure
	}
	if v.private == nil {
		return nil, refuse("UNIMPLEMENTED", "gcptest does not sign with %s", v.algorithm)
	}
	message, failure := v.input(in)
	if failure != nil {
		return nil, failure
	}
	sig, err := v.private.Sign(rand.Reader, message, v.options())
	if err != nil {
		return nil, refuse("INTERNAL", "Internal error encountered.")
	}
	out := answer{"name": v.name, "signature": sig, "signatureCrc32c": checksum(sig), "protectionLevel": v.protection}
	if in.DigestCRC32C != nil {
		out["verifiedDigestCrc32c"] = true
	}
	if in.DataCRC32C != nil {
		out["verifiedDataCrc32c"] = true
	}
	return out, nil
}

func (v version) options() crypto.SignerOpts {
	name := string(v.algorithm)
	switch {
	case strings.HasPrefix(name, "RSA_SIGN_PSS_"):
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case strings.HasSuffix(name, externalMuSuffix):
		return mldsacrypto.MLDSAMu
	case strings.HasSuffix(name, "SHA256"):
		return crypto.SHA256
	case strings.HasSuffix(name, "SHA384"):
		return crypto.SHA384
	}
	return crypto.Hash(0)
}
