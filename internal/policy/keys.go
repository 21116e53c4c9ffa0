package policy

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// ParseKeys reads the public keys of a PEM text: any number of PUBLIC KEY
// (PKIX, see signer.ParsePublicKey) or RSA PUBLIC KEY (PKCS #1) blocks. The
// name tells the text apart in messages. It returns a configuration fault
// ("trusted_key_invalid") for a text without keys, with anything between or
// beside the blocks, with another kind of block, or with a key of an
// unsupported type.
func ParseKeys(name string, text []byte) ([]envelope.Key, error) {
	var keys []envelope.Key
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		block, after := pem.Decode(rest)
		if block == nil || !bytes.HasPrefix(rest, []byte("-----BEGIN ")) || bytes.Count(rest[:len(rest)-len(after)], []byte("-----BEGIN ")) != 1 {
			return nil, badKey(name, "it is not PEM, or there is text beside the PEM blocks")
		}
		pub, err := parseKey(block)
		if err != nil {
			return nil, badKey(name, err.Error())
		}
		key, err := KeyOf(name, pub)
		if err != nil {
			return nil, err
		}
		keys, rest = append(keys, key), after
	}
	if len(keys) == 0 {
		return nil, badKey(name, "it is empty")
	}
	return keys, nil
}

// KeyOf returns the trusted key of a public key.
func KeyOf(name string, pub crypto.PublicKey) (envelope.Key, error) {
	if err := signer.CheckKey(pub); err != nil {
		return envelope.Key{}, badKey(name, err.Error())
	}
	fingerprint, err := signer.Fingerprint(pub)
	return envelope.Key{Name: name, Public: pub, Fingerprint: fingerprint}, err
}

func parseKey(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return signer.ParsePublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		return nil, fmt.Errorf("it holds a certificate; extract its key with: openssl x509 -noout -pubkey")
	}
	return nil, fmt.Errorf("it holds a block of the type %s, which is no public key", block.Type)
}

func badKey(name, why string) error {
	return fault.Configf("trusted_key_invalid", "give public keys in PEM, as signgate key public prints them", "the public key %s cannot be used: %s", name, why)
}
