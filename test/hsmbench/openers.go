package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"

	"github.com/ThalesGroup/crypto11"

	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// The names of the token and its key.
const (
	token  = "bench"
	object = "p256"
	keyURI = "pkcs11:token=" + token + ";object=" + object
)

// sessions is how many sessions sign at the same time: those of signgate's
// pool. There are more callers than that, so that no session waits for work, as
// no thread of the C program does.
const (
	sessions = 4
	callers  = 2 * sessions
)

// openPool signs with signgate's pool of sessions.
func openPool(module string) (signing, error) {
	key, err := openKey(pkcs11signer.Options{Module: module})
	return of(key), err
}

// openRemote does the same over the socket of a p11-kit server.
func openRemote(socket string) (signing, error) {
	key, err := openKey(pkcs11signer.Options{Socket: socket})
	return of(key), err
}

// openKey opens the key as signgate does.
func openKey(opts pkcs11signer.Options) (*pkcs11signer.Key, error) {
	opts.Getenv = os.Getenv
	return pkcs11signer.Open(context.Background(), keyURI, opts)
}

// openGuarded does the same and verifies each signature, as every signature of
// signgate is.
func openGuarded(module string) (signing, error) {
	key, err := openKey(pkcs11signer.Options{Module: module})
	if err != nil {
		return nil, err
	}
	guarded, err := signer.Guard(key, retry.Policy{})
	return of(guarded), err
}

func of(key interface {
	Sign(context.Context, signer.Algorithm, []byte) (signer.Signature, error)
}) signing {
	return func(ctx context.Context) ([]byte, error) {
		s, err := key.Sign(ctx, signer.ECDSASHA256, message)
		return s.Bytes, err
	}
}

// openCrypto11 signs with crypto11 and a pool of the same size; one more
// session is the one that it keeps to stay logged in.
func openCrypto11(module string) (signing, error) {
	c, err := crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: token, Pin: os.Getenv(pkcs11signer.EnvPIN), MaxSessions: sessions + 1})
	if err != nil {
		return nil, err
	}
	key, err := c.FindKeyPair(nil, []byte(object))
	if err == nil && key == nil {
		err = fmt.Errorf("there is no key %s", object)
	}
	return func(context.Context) ([]byte, error) {
		digest := sha256.Sum256(message)
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}, err
}
