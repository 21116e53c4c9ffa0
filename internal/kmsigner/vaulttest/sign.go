package vaulttest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes below
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
)

// signInput is the body of a sign request.
type signInput struct {
	Input      string `json:"input"`
	Prehashed  bool   `json:"prehashed"`
	KeyVersion int    `json:"key_version"`
	Hash       string `json:"hash_algorithm"`
	Signature  string `json:"signature_algorithm"`
	Marshaling string `json:"marshaling_algorithm"`
	Salt       string `json:"salt_length"`
}

var hashes = map[string]crypto.Hash{"sha2-224": crypto.SHA224, "sha2-256": crypto.SHA256, "sha2-384": crypto.SHA384, "sha2-512": crypto.SHA512}

func decodeSign(body []byte, urlHash string) (signInput, *apiError) {
	in := signInput{Hash: "sha2-256", Marshaling: "asn1", Salt: "auto"}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, refuse("failed to parse JSON input: %v", err)
	}
	if urlHash != "" {
		in.Hash = urlHash
	}
	switch {
	case hashes[in.Hash] == 0:
		return in, refuse("invalid hash algorithm %q", in.Hash)
	case in.Marshaling != "asn1": // jws exists, but nothing here wants it
		return in, refuse("invalid marshaling type %q", in.Marshaling)
	case in.Salt != "auto" && in.Salt != "hash":
		return in, refuse("salt length neither 'auto', 'hash', nor an int: %s", in.Salt)
	}
	return in, nil
}

// sign answers POST sign/:name/:hash_algorithm, in the order of
// pathSignWrite: parameters, key, type, input, version, signature.
func (s *Server) sign(at place, name, urlHash string, body []byte, fault Fault) (map[string]any, *apiError) {
	in, failure := decodeSign(body, urlHash)
	if failure != nil {
		return nil, failure
	}
	k := s.keys[at][name]
	if k == nil {
		return nil, refuse("signing key not found")
	}
	if k.kind == AES256 {
		return nil, refuse("key type %s does not support signing", k.kind)
	}
	input, err := base64.StdEncoding.DecodeString(in.Input)
	if err != nil {
		return nil, refuse("unable to decode input as base64: %s", err)
	}
	version, failure := k.version(in.KeyVersion)
	if failure != nil {
		return nil, failure
	}
	if fault.version != 0 {
		version = fault.version
	}
	sig, err := k.sign(version, in, input)
	if err != nil {
		return nil, internal("%s", err)
	}
	return map[string]any{"signature": fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(sig)), "key_version": version}, nil
}

// version returns the version to sign with (Policy.SignWithOptions).
func (k *key) version(asked int) (int, *apiError) {
	switch {
	case asked == 0:
		return len(k.versions), nil
	case asked < 0:
		return 0, internal("requested version for signing is negative")
	case asked > len(k.versions):
		return 0, internal("requested version for signing is higher than the latest key version")
	case asked < k.minEncryption:
		return 0, internal("requested version for signing is less than the minimum encryption key version")
	}
	return asked, nil
}

// sign hashes unless the input is a digest already, and does not look at how
// long a digest is: ecdsa.Sign takes any length, rsa refuses a wrong one.
func (k *key) sign(version int, in signInput, input []byte) ([]byte, error) {
	private, hash := k.versions[version-1], hashes[in.Hash]
	if _, ok := private.(ed25519.PrivateKey); ok {
		return private.Sign(nil, input, crypto.Hash(0))
	}
	if !in.Prehashed {
		h := hash.New()
		h.Write(input)
		input = h.Sum(nil)
	}
	r, ok := private.(*rsa.PrivateKey)
	switch {
	case !ok:
		return private.Sign(rand.Reader, input, nil)
	case in.Signature == "pkcs1v15":
		return rsa.SignPKCS1v15(rand.Reader, r, hash, input)
	case in.Signature == "" || in.Signature == "pss":
		salt := rsa.PSSSaltLengthAuto
		if in.Salt == "hash" {
			salt = rsa.PSSSaltLengthEqualsHash
		}
		return rsa.SignPSS(rand.Reader, r, hash, input, &rsa.PSSOptions{SaltLength: salt, Hash: hash})
	}
	return nil, fmt.Errorf("unsupported rsa signature algorithm %s", in.Signature)
}

// internal is an error that a backend returned without a response.
func internal(format string, args ...any) *apiError {
	return &apiError{http.StatusInternalServerError, []string{"1 error occurred:\n\t* " + fmt.Sprintf(format, args...) + "\n\n"}}
}
