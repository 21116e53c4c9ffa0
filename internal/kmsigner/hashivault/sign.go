package hashivault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"regexp"
	"strconv"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// maxMessage is the most that an Ed25519 key is given: a string in a request
// may have 1 MiB (max_json_string_value_length of the listener).
const maxMessage = 512 << 10

// signRequest is the body of POST /sign/:name/:hash_algorithm.
type signRequest struct {
	Input      []byte `json:"input"`                         // in base64
	Version    int    `json:"key_version"`                   // never 0, which is whatever is the latest then
	Prehashed  bool   `json:"prehashed,omitzero"`            // the input is a digest
	Salt       string `json:"salt_length,omitzero"`          // for pss, where the default is the longest
	Algorithm  string `json:"signature_algorithm,omitzero"`  // for RSA, where the default is pss
	Marshaling string `json:"marshaling_algorithm,omitzero"` // for ECDSA
}

// signAnswer is the data of the answer.
type signAnswer struct {
	Signature string `json:"signature"`   // vault:v3:MEUC…
	Version   int    `json:"key_version"` // 0 when an old server does not say
}

var (
	signatureForm = regexp.MustCompile(`^vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)$`)
	requestForm   = regexp.MustCompile(`^[0-9A-Fa-f-]{36}$`)
)

// Sign makes one attempt to sign message. The KeyID of the signature is built
// from the version in the answer.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if !alg.Fits(k.public) {
		return signer.Signature{}, signer.ErrUnsupported(k.ID(), alg, k.public)
	}
	if n := len(message); alg.Hash() == 0 && n > maxMessage {
		return signer.Signature{}, fault.Configf("message_too_long", "use an ecdsa-p256 key, for which only a digest is sent",
			"at most %d bytes are signed with the Ed25519 key %s, but there are %d", maxMessage, k, n)
	}
	c := call{what: "sign with the key " + k.String(), method: "POST", path: k.mount + "/sign/" + k.name + hashPath(alg), namespace: k.namespace, body: k.signing(alg, message)}
	var out signAnswer
	request, err := k.ask(ctx, c, &out)
	if err != nil {
		return signer.Signature{}, err
	}
	return k.signature(alg, out, request)
}

// signing hashes message here, so that the digest has the length of the hash:
// the service signs a shorter one with an ECDSA key.
func (k *Key) signing(alg signer.Algorithm, message []byte) signRequest {
	r := signRequest{Input: alg.Digest(message), Version: k.version, Prehashed: alg.Hash() != 0}
	switch k.public.(type) {
	case *rsa.PublicKey:
		r.Algorithm = "pkcs1v15"
		if alg == signer.RSAPSSSHA256 {
			r.Algorithm, r.Salt = "pss", "hash"
		}
	case *ecdsa.PublicKey:
		r.Marshaling = "asn1"
	}
	return r
}

// hashPath is the last part of the path, which says what the digest is of. An
// Ed25519 key is given none: it hashes by itself.
func hashPath(alg signer.Algorithm) string {
	switch alg.Hash() {
	case crypto.SHA256:
		return "/sha2-256"
	case crypto.SHA384:
		return "/sha2-384"
	case crypto.SHA512:
		return "/sha2-512"
	}
	return ""
}

// signature reads vault:vN:BASE64. The service does not name the algorithm;
// the guard verifies the signature with the one that was asked for.
func (k *Key) signature(alg signer.Algorithm, out signAnswer, request string) (signer.Signature, error) {
	m := signatureForm.FindStringSubmatch(out.Signature)
	if m == nil {
		return signer.Signature{}, k.unexpected("sign with the key "+k.String(), "its signature does not begin with vault:v and a version")
	}
	version, _ := strconv.Atoi(m[1]) // at most nine digits
	if out.Version != 0 && out.Version != version {
		return signer.Signature{}, k.unexpected("sign with the key "+k.String(), "it names two versions of the key")
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(m[2])
	if err != nil {
		return signer.Signature{}, k.unexpected("sign with the key "+k.String(), "its signature is not base64")
	}
	if !requestForm.MatchString(request) || k.said(request) != request {
		request = ""
	}
	return signer.Signature{Bytes: sig, KeyID: k.id(version), Algorithm: alg, RequestID: request}, nil
}
