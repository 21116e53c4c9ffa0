package attacks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// keyOf returns the key of a name: always the same P-256 key, and the one RSA key
// for "rsa".
func keyOf(t *testing.T, name string) crypto.Signer {
	t.Helper()
	if name == "rsa" {
		key, err := rsaKey()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	scalar := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func pkix(t *testing.T, name string) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(keyOf(t, name).Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func fingerprint(t *testing.T, name string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(pkix(t, name)))
}

// writeKeys puts the keys that texts mention as NAME.pub or NAME.key into the
// folder; rsa.pkcs1.pub is rsa.pub in another encoding.
func writeKeys(t *testing.T, dir, text string) {
	t.Helper()
	for _, name := range []string{"release", "build", "other", "stranger", "rsa"} {
		if strings.Contains(text, name+".pub") {
			writePEM(t, filepath.Join(dir, name+".pub"), "PUBLIC KEY", pkix(t, name))
		}
		if strings.Contains(text, name+".key") {
			der, err := x509.MarshalPKCS8PrivateKey(keyOf(t, name))
			if err != nil {
				t.Fatal(err)
			}
			writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", der)
		}
	}
	if strings.Contains(text, "rsa.pkcs1.pub") {
		writePEM(t, filepath.Join(dir, "rsa.pkcs1.pub"), "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(keyOf(t, "rsa").Public().(*rsa.PublicKey)))
	}
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
