// Package filesigner opens private keys in PEM files: for trials, for tests
// and for teams that have no key service yet.
//
// A key is named by the path of a file or by env://NAME, an environment
// variable that holds the PEM text. The encodings are PKCS#8 ("PRIVATE KEY"),
// SEC 1 ("EC PRIVATE KEY"), PKCS#1 ("RSA PRIVATE KEY") and cosign's encrypted
// PKCS#8 ("ENCRYPTED COSIGN PRIVATE KEY" and "ENCRYPTED SIGSTORE PRIVATE
// KEY"), whose password comes from SIGNGATE_KEY_PASSWORD or, when that is not
// set, from COSIGN_PASSWORD. The types are P-256, P-384, P-521, RSA of 2048 to
// 4096 bits, Ed25519 and ML-DSA-44, -65 and -87, these in PKCS#8 alone (RFC
// 9881 section 6): the seed, or the seed and the expanded key.
//
// Every failure of Open is a configuration fault. No fault holds a byte of the
// key or the password, also when the key itself was given in place of its path.
package filesigner

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// Options says where Open looks besides the file.
type Options struct {
	// LookupEnv returns an environment variable and whether it is set, like
	// os.LookupEnv. Nil is an empty environment.
	LookupEnv func(name string) (string, bool)
}

func (o Options) lookup(name string) (string, bool) {
	if o.LookupEnv == nil {
		return "", false
	}
	return o.LookupEnv(name)
}

// Key is a private key held in memory. It is a signer.Key.
type Key struct {
	id      string
	private crypto.Signer
}

// Open reads the key that uri names: the path of a PEM file or env://NAME.
// The codes of its faults are key_uri_invalid, key_file_missing,
// key_file_unreadable, key_file_invalid, key_password_missing,
// key_password_wrong and key_type_unsupported.
func Open(ctx context.Context, uri string, opts Options) (*Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, interrupted("opening the key file", err)
	}
	name, text, err := read(uri, opts)
	if err != nil {
		return nil, err
	}
	private, err := parse(name, text, opts)
	if err != nil {
		return nil, err
	}
	fingerprint, err := signer.Fingerprint(private.Public())
	if err != nil {
		return nil, err
	}
	return &Key{id: "file:" + fingerprint, private: private}, nil
}

// ID returns "file:" and the SPKI fingerprint of the public key, so that the
// identity does not depend on where the file lies.
func (k *Key) ID() string { return k.id }

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.private.Public() }

// Sign signs message in this process.
func (k *Key) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if !alg.Fits(k.Public()) {
		return signer.Signature{}, signer.ErrUnsupported(k.id, alg, k.Public())
	}
	if err := ctx.Err(); err != nil {
		return signer.Signature{}, interrupted("signing with "+k.id, err)
	}
	sig, err := k.sign(alg, message)
	if err != nil {
		return signer.Signature{}, fault.Undecidedf("key_file_sign", "", "signing with %s: %w", k.id, err)
	}
	return signer.Signature{Bytes: sig, KeyID: k.id, Algorithm: alg}, nil
}

func (k *Key) sign(alg signer.Algorithm, message []byte) ([]byte, error) {
	digest := alg.Digest(message)
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		return ecdsa.SignASN1(rand.Reader, private, digest)
	case *rsa.PrivateKey:
		if alg == signer.RSAPSSSHA256 {
			return rsa.SignPSS(rand.Reader, private, alg.Hash(), digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, alg.Hash(), digest)
	case ed25519.PrivateKey:
		return ed25519.Sign(private, digest), nil
	case *mldsa.PrivateKey:
		return private.Sign(rand.Reader, message, &mldsa.Options{}) // hedged, with a random rnd (FIPS 204 section 3.4)
	}
	return nil, fmt.Errorf("the key type %T cannot sign", k.private)
}

func interrupted(what string, err error) error {
	return fault.Undecidedf("interrupted", "run the command again", "%s was interrupted: %w", what, err)
}
