package vaulttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Type is a key type of transit.
type Type string

// The types that CreateKey makes. AES256 is there to be refused.
const (
	P256    Type = "ecdsa-p256"
	P384    Type = "ecdsa-p384"
	P521    Type = "ecdsa-p521"
	RSA2048 Type = "rsa-2048"
	RSA3072 Type = "rsa-3072"
	RSA4096 Type = "rsa-4096"
	Ed25519 Type = "ed25519"
	AES256  Type = "aes256-gcm96"
)

// KeyAt names a key. Mount is transit when it is empty.
type KeyAt struct{ Namespace, Mount, Name string }

func (at KeyAt) place() place {
	if at.Mount == "" {
		at.Mount = "transit"
	}
	return place{at.Namespace, at.Mount}
}

// key is a named key; its first version is versions[0].
type key struct {
	name                                  string
	kind                                  Type
	versions                              []crypto.Signer // nil for AES256
	created                               time.Time
	minDecryption, minEncryption, minimum int
	flags                                 map[string]bool
}

// CreateKey makes a key with one version, and its mount when that is missing.
func (s *Server) CreateKey(at KeyAt, kind Type) error {
	private, err := generate(kind)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts[at.place()] = true
	if s.keys[at.place()] == nil {
		s.keys[at.place()] = map[string]*key{}
	}
	s.keys[at.place()][at.Name] = &key{name: at.Name, kind: kind, versions: []crypto.Signer{private}, created: s.opts.Now(), minDecryption: 1,
		flags: map[string]bool{"deletion_allowed": false, "exportable": false, "allow_plaintext_backup": false, "derived": false, "imported_key": false}}
	return nil
}

// RotateKey adds a version to a key.
func (s *Server) RotateKey(at KeyAt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[at.place()][at.Name]
	private, err := generate(k.kind)
	k.versions = append(k.versions, private)
	return err
}

// SetMinEncryptionVersion keeps older versions from signing.
func (s *Server) SetMinEncryptionVersion(at KeyAt, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[at.place()][at.Name].minEncryption = version
}

// SetMinDecryptionVersion archives older versions, so that a read does not list
// them.
func (s *Server) SetMinDecryptionVersion(at KeyAt, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[at.place()][at.Name].minDecryption = version
}

// SetFlag sets "deletion_allowed", "exportable", "allow_plaintext_backup",
// "derived" or "imported_key".
func (s *Server) SetFlag(at KeyAt, flag string, value bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[at.place()][at.Name].flags[flag] = value
}

// DeleteKey removes a key.
func (s *Server) DeleteKey(at KeyAt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys[at.place()], at.Name)
}

// Public returns the public key of a version.
func (s *Server) Public(at KeyAt, version int) crypto.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[at.place()][at.Name].versions[version-1].Public()
}

func generate(kind Type) (crypto.Signer, error) {
	switch kind {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case RSA2048, RSA3072, RSA4096:
		bits, err := strconv.Atoi(string(kind[len("rsa-"):]))
		if err != nil {
			return nil, err
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case AES256:
		return nil, nil
	}
	return nil, fmt.Errorf("unknown key type %q", kind)
}

// read answers GET keys/:name, whose "keys" are creation times for symmetric
// keys and objects for the others.
func (k *key) read() map[string]any {
	versions := map[string]any{}
	for i, private := range k.versions {
		if i+1 >= k.minDecryption {
			versions[strconv.Itoa(i+1)] = k.describe(private)
		}
	}
	data := map[string]any{
		"name": k.name, "type": string(k.kind), "keys": versions, "latest_version": len(k.versions),
		"min_available_version": k.minimum, "min_decryption_version": k.minDecryption, "min_encryption_version": k.minEncryption,
		"supports_signing": k.kind != AES256, "supports_encryption": k.kind == AES256, "auto_rotate_period": 0,
	}
	for flag, value := range maps.All(k.flags) {
		data[flag] = value
	}
	return data
}

func (k *key) describe(private crypto.Signer) any {
	if private == nil {
		return k.created.Unix()
	}
	public := ""
	switch p := private.Public().(type) {
	case ed25519.PublicKey:
		if !k.flags["derived"] {
			public = base64.StdEncoding.EncodeToString(p)
		}
	default:
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			panic(err) // all types here have an encoding
		}
		public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	name := map[Type]string{P256: "P-256", P384: "P-384", P521: "P-521"}[k.kind]
	if name == "" {
		name = string(k.kind)
	}
	return map[string]any{"name": name, "public_key": public, "creation_time": k.created.Format(time.RFC3339Nano)}
}

// find returns a key for reading.
func (s *Server) find(at place, name string) (*key, *apiError) {
	if k := s.keys[at][name]; k != nil {
		return k, nil
	}
	return nil, &apiError{status: http.StatusNotFound}
}
