package kmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"time"

	"filippo.io/mldsa"
)

// Spec is a key spec of AWS KMS.
type Spec string

// The specs that CreateKey makes.
const (
	P256    Spec = "ECC_NIST_P256"
	P384    Spec = "ECC_NIST_P384"
	P521    Spec = "ECC_NIST_P521"
	RSA2048 Spec = "RSA_2048"
	RSA3072 Spec = "RSA_3072"
	RSA4096 Spec = "RSA_4096"
	Ed25519 Spec = "ECC_NIST_EDWARDS25519"
	MLDSA44 Spec = "ML_DSA_44"
	MLDSA65 Spec = "ML_DSA_65"
	MLDSA87 Spec = "ML_DSA_87"

	// Symmetric keys exist to be refused: they encrypt.
	Symmetric Spec = "SYMMETRIC_DEFAULT"
)

// State is a key state of AWS KMS.
type State string

// The states of keys.
const (
	Enabled                State = "Enabled"
	Disabled               State = "Disabled"
	PendingDeletion        State = "PendingDeletion"
	PendingReplicaDeletion State = "PendingReplicaDeletion" // a primary whose replicas go first
	PendingImport          State = "PendingImport"
	Creating               State = "Creating"
	StateUnavailable       State = "Unavailable"
)

type key struct {
	id, arn string
	spec    Spec
	usage   string
	state   State
	created time.Time
	private crypto.Signer // nil for symmetric keys
	members []member      // of a multi-Region key, the primary first
}

// CreateKey makes a key for signing and returns its ARN.
func (s *Server) CreateKey(spec Spec) (arn string, err error) {
	private, err := generate(spec)
	if err != nil {
		return "", err
	}
	return s.add(&key{id: newUUID(), spec: spec, private: private}), nil
}

// add fills in what all keys have and returns the ARN.
func (s *Server) add(k *key) (arn string) {
	k.arn, k.usage, k.state, k.created = s.arn("key/"+k.id), "SIGN_VERIFY", Enabled, s.opts.Now()
	if k.private == nil {
		k.usage = "ENCRYPT_DECRYPT"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.id] = k
	return k.arn
}

func generate(spec Spec) (crypto.Signer, error) {
	switch spec {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case MLDSA44:
		return mldsa.GenerateKey(mldsa.MLDSA44())
	case MLDSA65:
		return mldsa.GenerateKey(mldsa.MLDSA65())
	case MLDSA87:
		return mldsa.GenerateKey(mldsa.MLDSA87())
	case Symmetric:
		return nil, nil
	}
	return nil, fmt.Errorf("kmstest has no keys of the spec %q", spec)
}
