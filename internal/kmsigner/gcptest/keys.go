package gcptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/mldsa"
)

// Algorithm is a CryptoKeyVersionAlgorithm.
type Algorithm string

// The algorithms that CreateKey makes working keys of. Others are made as well,
// without key material, to be listed and refused.
const (
	P256              Algorithm = "EC_SIGN_P256_SHA256"
	P384              Algorithm = "EC_SIGN_P384_SHA384"
	Ed25519           Algorithm = "EC_SIGN_ED25519"
	RSA2048           Algorithm = "RSA_SIGN_PKCS1_2048_SHA256"
	RSA3072           Algorithm = "RSA_SIGN_PKCS1_3072_SHA256"
	RSA4096           Algorithm = "RSA_SIGN_PKCS1_4096_SHA256"
	MLDSA44           Algorithm = "PQ_SIGN_ML_DSA_44"
	MLDSA65           Algorithm = "PQ_SIGN_ML_DSA_65"
	MLDSA87           Algorithm = "PQ_SIGN_ML_DSA_87"
	MLDSA44ExternalMu Algorithm = "PQ_SIGN_ML_DSA_44_EXTERNAL_MU"
	MLDSA65ExternalMu Algorithm = "PQ_SIGN_ML_DSA_65_EXTERNAL_MU"
	MLDSA87ExternalMu Algorithm = "PQ_SIGN_ML_DSA_87_EXTERNAL_MU"
	RSAPSS2048        Algorithm = "RSA_SIGN_PSS_2048_SHA256"
	GoogleSymmetric   Algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION"
	HMACSHA256        Algorithm = "HMAC_SHA256"
	Secp256k1         Algorithm = "EC_SIGN_SECP256K1_SHA256"
	SLHDSA            Algorithm = "PQ_SIGN_SLH_DSA_SHA2_128S"
)

const (
	externalMuSuffix    = "_EXTERNAL_MU"
	cryptoKeyVersionsOf = "/cryptoKeyVersions/" // before the number of a version
)

// State is a CryptoKeyVersionState.
type State string

// The states of versions.
const (
	Enabled           State = "ENABLED"
	Disabled          State = "DISABLED"
	Destroyed         State = "DESTROYED"
	DestroyScheduled  State = "DESTROY_SCHEDULED"
	PendingGeneration State = "PENDING_GENERATION"
)

type cryptoKey struct {
	name     string
	versions []*version // in the order of their numbers, from 1
}

type version struct {
	name       string
	algorithm  Algorithm
	state      State
	protection string
	private    crypto.Signer // nil when there is no key material
}

// CreateKey makes a key with one version and returns the name of that version.
func (s *Server) CreateKey(id string, algorithm Algorithm) (string, error) {
	name := fmt.Sprintf("projects/%s/locations/%s/keyRings/%s/cryptoKeys/%s", s.opts.Project, s.opts.Location, s.opts.KeyRing, id)
	s.mu.Lock()
	s.keys[name] = &cryptoKey{name: name}
	s.mu.Unlock()
	return s.AddVersion(name, algorithm)
}

// AddVersion adds a version to the key, or to the key of a version, and returns
// its name. Versions of one key may differ in their algorithm, as they may in
// Cloud KMS after the template of the key was changed.
func (s *Server) AddVersion(key string, algorithm Algorithm) (string, error) {
	key, _, _ = strings.Cut(key, cryptoKeyVersionsOf)
	private, err := generate(algorithm)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil {
		return "", fmt.Errorf("gcptest: there is no key %s", key)
	}
	v := &version{
		name:      key + cryptoKeyVersionsOf + strconv.Itoa(len(k.versions)+1),
		algorithm: algorithm, state: Enabled, protection: "SOFTWARE", private: private,
	}
	k.versions = append(k.versions, v)
	return v.name, nil
}

func generate(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RSA2048, RSAPSS2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case MLDSA44, MLDSA44ExternalMu:
		return mldsa.GenerateKey(mldsa.MLDSA44())
	case MLDSA65, MLDSA65ExternalMu:
		return mldsa.GenerateKey(mldsa.MLDSA65())
	case MLDSA87, MLDSA87ExternalMu:
		return mldsa.GenerateKey(mldsa.MLDSA87())
	}
	return nil, nil
}

// SetState changes the state of a version. Like the other setup methods it
// panics on a version that does not exist.
func (s *Server) SetState(name string, state State) {
	s.change(name, func(v *version) { v.state = state })
}

// SetProtection changes the protection level of a version, which is SOFTWARE at
// first. With EXTERNAL, asymmetricSign takes data only.
func (s *Server) SetProtection(name, level string) {
	s.change(name, func(v *version) { v.protection = level })
}

func (s *Server) change(name string, f func(*version)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, failure := s.find(name)
	if failure != nil {
		panic("gcptest: " + failure.message)
	}
	f(v)
}

// Public returns the public key of a version.
func (s *Server) Public(name string) (public crypto.PublicKey) {
	s.change(name, func(v *version) { public = v.private.Public() })
	return public
}

// find returns the version of a name. The caller holds s.mu.
func (s *Server) find(name string) (*version, *apiError) {
	key, _, _ := strings.Cut(name, cryptoKeyVersionsOf)
	if k := s.keys[key]; k != nil {
		for _, v := range k.versions {
			if v.name == name {
				return v, nil
			}
		}
	}
	return nil, refuse("NOT_FOUND", "CryptoKeyVersion %s not found.", name)
}

// usable reports why a version cannot be used now, in the words of the service
// and with its details.
func (v *version) usable() *apiError {
	if v.state == Enabled {
		return nil
	}
	failure := refuse("FAILED_PRECONDITION", "%s is not enabled, current state is: %s.", v.name, v.state)
	failure.details = []any{map[string]any{
		"@type":      "type.googleapis.com/google.rpc.PreconditionFailure",
		"violations": []any{map[string]string{"type": "KEY_" + string(v.state), "subject": v.name}},
	}}
	return failure
}
