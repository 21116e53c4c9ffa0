// Package signer is the contract between signgate and the places keys live in.
//
// A Key is a private key reached by a URI: a KMS key, a key on a PKCS#11
// token, a key file. The format of a signature chooses the Algorithm; the key
// says whether it can. Callers never use a Key directly: Guard wraps it, so
// that no backend can skip the pin, the check of the response, the retry or
// the local verification of every signature.
package signer

import (
	"context"
	"crypto"
)

// Key is a private key in some backend.
//
// A Key is opened once per run, which fetches its public half; ID and Public
// answer from memory and never fail. A Key is safe for concurrent use. A
// backend makes one attempt per Sign and marks a failure that may pass as
// transient (fault.Error.Transient); Guard retries.
type Key interface {
	// ID returns the immutable identity of the key: an ARN with a key id, a
	// token serial with a key id, a file's public key fingerprint. It does
	// not change when an alias or a label is moved, and holds no secret.
	ID() string

	// Public returns the public key: *ecdsa.PublicKey, *rsa.PublicKey,
	// ed25519.PublicKey or *mldsa.PublicKey (filippo.io/mldsa).
	Public() crypto.PublicKey

	// Sign signs message, hashing it as alg says. ECDSA signatures are
	// ASN.1 DER. An algorithm that the key cannot do is a configuration
	// fault with the code "algorithm_unsupported".
	Sign(ctx context.Context, alg Algorithm, message []byte) (Signature, error)
}

// Redirected is implemented by keys whose backend can be pointed at another
// endpoint by the environment.
type Redirected interface {
	// RedirectedTo returns the overriding endpoint, or "" when the backend
	// is at its own address.
	RedirectedTo() string
}

// Signature is what a backend answered.
type Signature struct {
	Bytes     []byte
	KeyID     string    // the identity of the key that signed, as the backend reports it
	Algorithm Algorithm // the algorithm that was used, as the backend reports it
	RequestID string    // the backend's name for the call, for its audit log; may be empty
}
