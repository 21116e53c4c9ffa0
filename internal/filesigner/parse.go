package filesigner

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// The PEM labels of private keys (RFC 7468 section 10, RFC 5915 section 4) and
// those of cosign.
const (
	labelPKCS8    = "PRIVATE KEY"
	labelSEC1     = "EC PRIVATE KEY"
	labelPKCS1    = "RSA PRIVATE KEY"
	labelCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
	labelSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
)

const useTypes = "use P-256, P-384, P-521, RSA 2048 to 4096, Ed25519 or ML-DSA"

// parse returns the one private key in text.
func parse(name string, text []byte, opts Options) (crypto.Signer, error) {
	block, err := find(name, text)
	if err != nil {
		return nil, err
	}
	der, label := block.Bytes, block.Type
	if label == labelCosign || label == labelSigstore {
		if der, err = decrypt(name, block.Bytes, opts); err != nil {
			return nil, err
		}
		label = labelPKCS8
	}
	key, err := decode(label, der)
	if err != nil {
		return nil, undecodable(name, block.Type, err)
	}
	return check(name, key)
}

// find returns the only private key block of text. Blocks of other kinds
// beside it, like EC PARAMETERS or a certificate, do not matter.
func find(name string, text []byte) (*pem.Block, error) {
	var found, other *pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case !isPrivate(block):
			if other == nil || other.Type == "EC PARAMETERS" {
				other = block
			}
		case found != nil:
			return nil, fault.Configf("key_file_invalid", "give a file with one private key", "%s holds more than one private key", name)
		default:
			found = block
		}
	}
	if found == nil {
		return nil, notAKey(name, text, other)
	}
	return found, nil
}

// isPrivate reports whether block holds a private key in a supported encoding.
// A DEK-Info header marks OpenSSL's traditional encryption (RFC 1421 section
// 4.6.1.3), which is not supported.
func isPrivate(block *pem.Block) bool {
	switch block.Type {
	case labelPKCS8, labelSEC1, labelPKCS1, labelCosign, labelSigstore:
		return block.Headers["DEK-Info"] == ""
	}
	return false
}

func decode(label string, der []byte) (any, error) {
	switch label {
	case labelSEC1:
		return x509.ParseECPrivateKey(der)
	case labelPKCS1:
		return x509.ParsePKCS1PrivateKey(der)
	}
	return parsePKCS8(der)
}

func undecodable(name, label string, err error) error {
	if e, ok := errors.AsType[*mldsaError](err); ok {
		return fault.Configf("key_file_invalid", e.next, "%s holds an ML-DSA key %s", name, e.what)
	}
	if strings.Contains(err.Error(), "unknown elliptic curve") || strings.Contains(err.Error(), "unknown algorithm") {
		return fault.Configf("key_type_unsupported", useTypes,
			"%s holds a private key of a type that is not supported", name)
	}
	return fault.Configf("key_file_invalid", "check that the file is complete; openssl pkey -in FILE -noout should accept it",
		"the %s block of %s is damaged", label, name)
}

func check(name string, key any) (crypto.Signer, error) {
	private, ok := key.(crypto.Signer)
	if !ok { // *ecdh.PrivateKey: X25519
		return nil, fault.Configf("key_type_unsupported", useTypes,
			"%s holds a key for key agreement, which cannot sign", name)
	}
	return private, signer.CheckKey(private.Public())
}

// decrypt opens cosign's encryption: JSON with scrypt parameters and a
// secretbox, made by go-securesystemslib.
func decrypt(name string, box []byte, opts Options) ([]byte, error) {
	variable, password, ok := "", "", false
	for _, variable = range []string{"SIGNGATE_KEY_PASSWORD", "COSIGN_PASSWORD"} {
		if password, ok = opts.lookup(variable); ok {
			break
		}
	}
	if !ok {
		return nil, fault.Configf("key_password_missing", "set SIGNGATE_KEY_PASSWORD or COSIGN_PASSWORD in the env of the step; an empty password has to be set too",
			"%s is encrypted, but no password was given", name)
	}
	der, err := encrypted.Decrypt(box, []byte(password))
	if err == nil {
		return der, nil
	}
	if err.Error() == "encrypted: decryption failed" {
		return nil, fault.Configf("key_password_wrong", "check the secret; a newline at its end is part of the password",
			"the password in %s does not open %s", variable, name)
	}
	return nil, fault.Configf("key_file_invalid", "make the key again with cosign generate-key-pair or cosign import-key-pair",
		"the encrypted private key in %s is damaged or uses unknown parameters", name)
}
