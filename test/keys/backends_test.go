package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"

	"github.com/signgate/signgate/internal/filesigner"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// once makes one attempt within a bounded time.
var once = retry.Policy{PerAttempt: 10 * time.Second}

// backends starts the services, real or honestly faked, that hold the keys.
func backends(t *testing.T) []backend {
	return []backend{fileKeys(), awsKeys(t), googleKeys(t), azureKeys(), vaultKeys(t), tokenKeys(t)}
}

// of returns the backend's own name of a spec, or errNone.
func of[S ~string](specs map[string]S, spec string) (S, error) {
	own, ok := specs[spec]
	if !ok {
		return "", errNone
	}
	return own, nil
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { value, ok := env[name]; return value, ok }
}

func fileKeys() backend {
	return backend{"file", func(t *testing.T, spec string) (signer.Key, error) {
		block, err := newFile(spec)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
		return filesigner.Open(t.Context(), path, filesigner.Options{LookupEnv: lookup(nil)})
	}}
}

// newFile makes a key in PKCS #8. OpenSSL's secp256k1 has no place in the
// standard library, so that row comes as a fixed key of OpenSSL.
func newFile(spec string) (*pem.Block, error) {
	var key crypto.Signer
	var err error
	switch spec {
	case "P-256", "P-384", "P-521":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[spec]
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	case "RSA-2048", "RSA-3072", "RSA-4096":
		key, err = rsa.GenerateKey(rand.Reader, map[string]int{"RSA-2048": 2048, "RSA-3072": 3072, "RSA-4096": 4096}[spec])
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ML-DSA-44", "ML-DSA-65", "ML-DSA-87":
		return newMLDSA(spec)
	case "secp256k1":
		block, _ := pem.Decode([]byte(secp256k1))
		return block, nil
	default:
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, err
}

// newMLDSA makes a key in the form "seed" of RFC 9881 section 6.
func newMLDSA(spec string) (*pem.Block, error) {
	set := map[string]struct {
		parameters mldsa.Parameters
		arc        int
	}{"ML-DSA-44": {mldsa.MLDSA44(), 17}, "ML-DSA-65": {mldsa.MLDSA65(), 18}, "ML-DSA-87": {mldsa.MLDSA87(), 19}}[spec]
	private, err := mldsa.GenerateKey(set.parameters)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, set.arc}}, append([]byte{0x80, 32}, private.Bytes()...)})
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, err
}

func awsKeys(t *testing.T) backend {
	server, err := kmstest.New(kmstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for name, value := range server.Env() {
		t.Setenv(name, value)
	}
	specs := map[string]kmstest.Spec{
		"P-256": kmstest.P256, "P-384": kmstest.P384, "P-521": kmstest.P521, "RSA-2048": kmstest.RSA2048, "RSA-3072": kmstest.RSA3072, "RSA-4096": kmstest.RSA4096,
		"Ed25519": kmstest.Ed25519, "ML-DSA-44": kmstest.MLDSA44, "ML-DSA-65": kmstest.MLDSA65, "ML-DSA-87": kmstest.MLDSA87, "symmetric": kmstest.Symmetric,
	}
	return backend{"AWS KMS", func(t *testing.T, spec string) (signer.Key, error) {
		own, err := of(specs, spec)
		if err != nil {
			return nil, err
		}
		arn, err := server.CreateKey(own)
		if err != nil {
			t.Fatal(err)
		}
		return awskms.Open(t.Context(), "awskms:///"+arn, awskms.Options{Retry: once})
	}}
}

func googleKeys(t *testing.T) backend {
	server, err := gcptest.New(gcptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	credentials := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(credentials, server.Credentials(gcptest.Federated), 0o600); err != nil {
		t.Fatal(err)
	}
	specs := map[string]gcptest.Algorithm{
		"P-256": gcptest.P256, "P-384": gcptest.P384, "RSA-2048": gcptest.RSA2048, "RSA-3072": gcptest.RSA3072, "RSA-4096": gcptest.RSA4096, "Ed25519": gcptest.Ed25519,
		"ML-DSA-44": gcptest.MLDSA44, "ML-DSA-65": gcptest.MLDSA65, "ML-DSA-87": gcptest.MLDSA87, "secp256k1": gcptest.Secp256k1, "symmetric": gcptest.GoogleSymmetric,
	}
	return backend{"Google Cloud KMS", func(t *testing.T, spec string) (signer.Key, error) {
		own, err := of(specs, spec)
		if err != nil {
			return nil, err
		}
		name, err := server.CreateKey(strings.ToLower(spec), own)
		if err != nil {
			t.Fatal(err)
		}
		return gcpkms.Open(t.Context(), "gcpkms://"+name, gcpkms.Options{LookupEnv: lookup(server.Env(credentials)), Retry: once})
	}}
}

func azureKeys() backend {
	const host = "acme.vault.azure.net"
	specs := map[string]azuretest.Spec{
		"P-256": azuretest.P256, "P-384": azuretest.P384, "P-521": azuretest.P521, "RSA-2048": azuretest.RSA2048, "RSA-3072": azuretest.RSA3072, "RSA-4096": azuretest.RSA4096,
		"secp256k1": azuretest.P256K, "symmetric": azuretest.Oct,
	}
	return backend{"Azure Key Vault", func(t *testing.T, spec string) (signer.Key, error) {
		own, err := of(specs, spec)
		if err != nil {
			return nil, err
		}
		vault := azuretest.New(host)
		vault.Rotate("release", own)
		return azurekms.Open(t.Context(), "azurekms://"+host+"/release", azurekms.Options{LookupEnv: lookup(nil), Transport: vault, Credential: &azfake.TokenCredential{}, Retry: once})
	}}
}

func vaultKeys(t *testing.T) backend {
	server, err := vaulttest.New(vaulttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	specs := map[string]vaulttest.Type{
		"P-256": vaulttest.P256, "P-384": vaulttest.P384, "P-521": vaulttest.P521, "RSA-2048": vaulttest.RSA2048, "RSA-3072": vaulttest.RSA3072, "RSA-4096": vaulttest.RSA4096,
		"Ed25519": vaulttest.Ed25519, "symmetric": vaulttest.AES256,
	}
	return backend{"Vault, OpenBao", func(t *testing.T, spec string) (signer.Key, error) {
		own, err := of(specs, spec)
		if err != nil {
			return nil, err
		}
		if err := server.CreateKey(vaulttest.KeyAt{Name: strings.ToLower(spec)}, own); err != nil {
			t.Fatal(err)
		}
		return hashivault.Open(t.Context(), "hashivault://"+strings.ToLower(spec), hashivault.Options{LookupEnv: lookup(server.Env()), Retry: once})
	}}
}

// tokenKeys is a SoftHSM token. What it cannot make is no key of its.
func tokenKeys(t *testing.T) backend {
	const pin = "1234"
	token, err := softhsm.NewToken(t.Context(), t.TempDir(), "lab", pin)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", token.Conf)
	specs := map[string]string{
		"P-256": "EC:prime256v1", "P-384": "EC:secp384r1", "P-521": "EC:secp521r1", "RSA-2048": "rsa:2048", "RSA-3072": "rsa:3072", "RSA-4096": "rsa:4096",
		"Ed25519": "EC:edwards25519", "secp256k1": "EC:secp256k1",
	}
	id := 0
	return backend{"PKCS#11 (SoftHSM)", func(t *testing.T, spec string) (signer.Key, error) {
		own, err := of(specs, spec)
		if err != nil {
			return nil, err
		}
		id++
		if err := token.GenerateKey(context.Background(), own, fmt.Sprintf("%02d", id), spec); err != nil {
			t.Fatal(err)
		}
		return pkcs11signer.Open(t.Context(), "pkcs11:token=lab;object="+spec, pkcs11signer.Options{Module: token.Module, PIN: pin, Getenv: os.Getenv})
	}}
}

// secp256k1 is a throwaway key that OpenSSL has made.
const secp256k1 = `-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgQPIgB35ZB+4YpqNHomJ2
eJykSktY0KtKng8SiEo42gqhRANCAAQJl4tdXpeXvwxwykdkTjJp66V+3El6FYuz
cKHFeOYlFCVumzcyg+bVHQ6VVLZ739+paMSfGVjg+U7oFXe57M5s
-----END PRIVATE KEY-----
`
