package kmstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"regexp"
	"strings"
	"time"
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
)

// State is a key state of AWS KMS.
type State string

// The states of keys.
const (
	Enabled          State = "Enabled"
	Disabled         State = "Disabled"
	PendingDeletion  State = "PendingDeletion"
	PendingImport    State = "PendingImport"
	Creating         State = "Creating"
	StateUnavailable State = "Unavailable"
)

type key struct {
	id, arn string
	spec    Spec
	usage   string
	state   State
	created time.Time
	private crypto.Signer
}

// CreateKey makes a key for signing and returns its ARN.
func (s *Server) CreateKey(spec Spec) (arn string, err error) {
	private, err := generate(spec)
	if err != nil {
		return "", err
	}
	k := &key{id: newUUID(), spec: spec, usage: "SIGN_VERIFY", state: Enabled, created: s.opts.Now(), private: private}
	k.arn = s.arn("key/" + k.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.id] = k
	return k.arn, nil
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
	}
	return nil, fmt.Errorf("kmstest has no keys of the spec %q", spec)
}

// Alias makes the alias name ("alias/release") point to a key, or moves it, and
// returns the alias's ARN. It panics on a name that is no alias or a key that
// does not exist, as the other setup methods do.
func (s *Server) Alias(name, keyID string) (arn string) {
	if !strings.HasPrefix(name, "alias/") {
		panic("kmstest: an alias starts with alias/, not " + name)
	}
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[name] = k.id
	return s.arn(name)
}

// SetState changes the state of a key.
func (s *Server) SetState(keyID string, state State) {
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k.state = state
}

// SetUsage changes the usage of a key, which is SIGN_VERIFY at first, to
// ENCRYPT_DECRYPT for example.
func (s *Server) SetUsage(keyID, usage string) {
	k := s.mustResolve(keyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k.usage = usage
}

// Public returns the public key.
func (s *Server) Public(keyID string) crypto.PublicKey { return s.mustResolve(keyID).private.Public() }

func (s *Server) mustResolve(keyID string) *key {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, failure := s.resolve(keyID)
	if failure != nil {
		panic("kmstest: " + failure.message)
	}
	return k
}

func (s *Server) arn(resource string) string {
	return "arn:aws:kms:" + s.opts.Region + ":" + s.opts.Account + ":" + resource
}

var (
	arnOf  = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):((?:key|alias)/.+)$`)
	idForm = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
)

// resolve finds a key by key ID, key ARN, alias name or alias ARN. The caller
// holds s.mu.
func (s *Server) resolve(name string) (*key, *apiError) {
	if m := arnOf.FindStringSubmatch(name); m != nil {
		if m[1] != s.opts.Region {
			return nil, refuse("NotFoundException", "Invalid arn %s", m[1])
		}
		if m[2] != s.opts.Account {
			return nil, refuse("NotFoundException", "Key '%s' does not exist", name)
		}
		name = strings.TrimPrefix(m[3], "key/")
	}
	if strings.HasPrefix(name, "alias/") {
		id, ok := s.aliases[name]
		if !ok {
			return nil, refuse("NotFoundException", "Alias %s is not found.", s.arn(name))
		}
		return s.keys[id], nil
	}
	if !idForm.MatchString(name) {
		return nil, refuse("NotFoundException", "Invalid keyId '%s'", name)
	}
	k, ok := s.keys[name]
	if !ok {
		return nil, refuse("NotFoundException", "Key '%s' does not exist", s.arn("key/"+name))
	}
	return k, nil
}

// available reports why the key cannot be used now, in the words of the
// developer guide's table of key states.
func (k *key) available() *apiError {
	switch k.state {
	case Enabled:
		return nil
	case Disabled:
		return refuse("DisabledException", "%s is disabled.", k.arn)
	case PendingDeletion:
		return refuse("KMSInvalidStateException", "%s is pending deletion (or pending replica deletion).", k.arn)
	case PendingImport:
		return refuse("KMSInvalidStateException", "%s is pending import.", k.arn)
	case Creating:
		return refuse("KMSInvalidStateException", "%s is creating.", k.arn)
	}
	return refuse("KMSInvalidStateException", "%s is unavailable.", k.arn)
}
