package hashivault

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// types has the key types that signgate signs with, and signer's name of them.
var types = map[string]string{
	"ecdsa-p256": "P-256", "ecdsa-p384": "P-384", "ecdsa-p521": "P-521",
	"rsa-2048": "RSA-2048", "rsa-3072": "RSA-3072", "rsa-4096": "RSA-4096", "ed25519": "Ed25519",
}

// description is what GET /keys/:name answers.
type description struct {
	Name            string                    `json:"name"`
	Type            string                    `json:"type"`
	Keys            map[string]jsontext.Value `json:"keys"` // numbers for symmetric keys, objects for others
	Latest          int                       `json:"latest_version"`
	MinEncryption   int                       `json:"min_encryption_version"` // the oldest version that signs; 0 for all
	MinDecryption   int                       `json:"min_decryption_version"` // the oldest version that is listed
	Derived         bool                      `json:"derived"`
	DeletionAllowed bool                      `json:"deletion_allowed"`
	Exportable      bool                      `json:"exportable"`
	PlaintextBackup bool                      `json:"allow_plaintext_backup"`
	SoftDeleted     bool                      `json:"soft_deleted"` // OpenBao
}

func (s *session) read(ctx context.Context) (description, error) {
	var d description
	c := call{what: "read the key " + s.target.String(), method: "GET", path: s.keyPath(), namespace: s.namespace}
	err := s.opts.Retry.Do(ctx, "reading the key "+s.target.String(), func(ctx context.Context) (err error) {
		d = description{}
		_, err = s.ask(ctx, c, &d)
		return err
	})
	return d, err
}

// choose returns the version to sign with, and its public key.
func (s *session) choose(d description) (int, crypto.PublicKey, error) {
	if !strings.EqualFold(d.Name, s.name) {
		return 0, nil, fault.Refusedf("key_mismatch", "nothing was signed; check that no proxy sits between signgate and the server",
			"asked for the key %s, but the answer is about %q", s.target, s.said(d.Name))
	}
	if err := s.checkType(d); err != nil {
		return 0, nil, err
	}
	version := s.version
	if version == 0 {
		version = d.Latest
	}
	if err := s.checkVersion(d, version); err != nil {
		return 0, nil, err
	}
	public, err := publicKey(d.Keys[strconv.Itoa(version)])
	if err != nil || signer.KeyType(public) != types[d.Type] {
		return 0, nil, s.unexpected("read the key "+s.target.String(), "the public key of version "+strconv.Itoa(version)+" is not of the type "+d.Type)
	}
	return version, public, nil
}

func (s *session) checkType(d description) error {
	why := ""
	switch kind := s.said(d.Type); {
	case d.Derived:
		why = "derives a key from a context for each use (derived), so that it has no public key of its own"
	case types[d.Type] != "":
		return nil
	case kind == "managed_key":
		why = "is a managed key, which lives elsewhere; name it by that backend's key URI"
	case strings.HasPrefix(kind, "ml-dsa"), strings.HasPrefix(kind, "slh-dsa"), kind == "hybrid":
		why = "has the type " + kind + ", which no verifier of image signatures reads"
	case strings.HasPrefix(kind, "aes"), strings.HasPrefix(kind, "chacha"), strings.HasPrefix(kind, "xchacha"), kind == "hmac":
		why = "has the symmetric type " + kind + ", which cannot sign"
	default:
		why = "has the type " + strconv.Quote(kind) + ", which signgate does not sign with"
	}
	return fault.Configf("key_type_unsupported", "use a key of the type ecdsa-p256, which every verifier reads: vault write -f "+s.keyPath()+" type=ecdsa-p256",
		"the key %s %s", s.target, why)
}

func (s *session) checkVersion(d description, version int) error {
	switch {
	case d.Latest < 1:
		return s.unexpected("read the key "+s.target.String(), "it names no latest version")
	case version > d.Latest:
		return fault.Configf("kms_key_not_found", "use a version up to that one, or none for the latest", "the key %s has no version %d; its latest is %d", s.target, version, d.Latest)
	case d.SoftDeleted:
		return fault.Refusedf("kms_key_disabled", "restore it, or set key to its replacement and update expected-key", "the key %s is deleted softly", s.target)
	case version < d.MinEncryption:
		return fault.Refusedf("kms_key_disabled", "use a newer version, or none for the latest, and update expected-key",
			"version %d of the key %s may not sign any more: its min_encryption_version is %d", version, s.target, d.MinEncryption)
	case d.Keys[strconv.Itoa(version)] == nil:
		return fault.Configf("kms_key_not_found", "use a newer version, or none for the latest", "version %d of the key %s is archived or trimmed: its min_decryption_version is %d",
			version, s.target, d.MinDecryption)
	}
	return nil
}

// publicKey reads what stands for one version: PEM for ECDSA and RSA, the 32
// bytes in base64 for Ed25519.
func publicKey(value jsontext.Value) (crypto.PublicKey, error) {
	var version struct {
		PublicKey string `json:"public_key"`
	}
	if err := json.Unmarshal(value, &version); err != nil {
		return nil, err
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(version.PublicKey); err == nil && len(raw) == ed25519.PublicKeySize {
		return ed25519.PublicKey(raw), nil
	}
	block, rest := pem.Decode([]byte(version.PublicKey))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, x509.ErrUnsupportedAlgorithm
	}
	return signer.ParsePublicKey(block.Bytes)
}
