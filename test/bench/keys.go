package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

// key is a key in the key service.
type key struct {
	uri    string
	public string // the file with the public key
}

// newKey makes a P-256 key, which all readers can use.
func (s *site) newKey() (key, error) {
	arn, err := s.kms.CreateKey(kmstest.P256)
	if err != nil {
		return key{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(s.kms.Public(arn))
	if err != nil {
		return key{}, err
	}
	k := key{uri: "awskms:///" + arn, public: filepath.Join(s.dir, arn[strings.LastIndexByte(arn, '/')+1:]+".pub")}
	return k, os.WriteFile(k.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
}

func (s *site) newKeys(n int) ([]key, error) {
	keys := make([]key, n)
	for i := range keys {
		var err error
		if keys[i], err = s.newKey(); err != nil {
			return nil, err
		}
	}
	return keys, nil
}
