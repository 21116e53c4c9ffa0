package storm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// key is a P-256 key, and the files that hold its halves.
type key struct {
	private, public string // files
	verify          *ecdsa.PublicKey
}

const keyCount = 8

// keys returns the keys that all tests share.
var keys = sync.OnceValues(func() ([]key, error) {
	out := make([]key, keyCount)
	for i := range out {
		var err error
		if out[i], err = newKey(filepath.Join(folder, fmt.Sprintf("key-%d", i))); err != nil {
			return nil, err
		}
	}
	return out, nil
})

// keyring returns the first n keys.
func keyring(t *testing.T, n int) []key {
	t.Helper()
	all, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	return all[:n]
}

func newKey(file string) (key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return key{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return key{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return key{}, err
	}
	out := key{file + ".key", file + ".pub", &k.PublicKey}
	if err := writePEM(out.private, "PRIVATE KEY", private); err != nil {
		return key{}, err
	}
	return out, writePEM(out.public, "PUBLIC KEY", public)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
