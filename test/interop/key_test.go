package interop

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// password protects the keys that cosign encrypts.
const password = "interop"

// key is a private key in some backend.
type key struct {
	flags  []string // that make signgate sign with it
	env    []string // what these need
	path   string   // the file of a file key
	public string   // the file with the public key
}

// backends are the keys that signgate signs with.
var backends = []struct {
	name string
	make func(*testing.T) key
}{
	{"P-256 file", newP256},
	{"P-256 KMS", newKMS},
	{"P-256 Vault", newVault},
	{"P-256 SoftHSM", func(t *testing.T) key { return newToken(t, "EC:prime256v1") }},
	{"RSA-3072 file", func(t *testing.T) key { return newRSA(t, 3072) }},
	{"RSA-2048 SoftHSM", func(t *testing.T) key { return newToken(t, "rsa:2048") }},
}

func newP256(t *testing.T) key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newFile(t, private)
}

func newRSA(t *testing.T, bits int) key {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return newFile(t, private)
}

// newFile writes a key pair into files.
func newFile(t *testing.T, private crypto.Signer) key {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "key.pem", encodePEM("PRIVATE KEY", der))
	return key{flags: []string{"--key", path}, path: path, public: writePublic(t, private.Public())}
}

func writePublic(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "key.pub", encodePEM("PUBLIC KEY", der))
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// newKMS makes a key in a fake AWS KMS. The public key is what signgate says;
// the redirected backend needs it as a pin.
func newKMS(t *testing.T) key {
	return newService(t, "awskms:///alias/release", "AWS_", "AWS_SHARED_CREDENTIALS_FILE=", programs.fakekms, "-alias", "alias/release")
}

// newVault starts a fake Vault with a key.
func newVault(t *testing.T) key {
	return newService(t, "hashivault://release", "VAULT_", "VAULT_TOKEN=", programs.fakevault)
}

// newService starts a fake key service, which prints the variables that lead
// to it; the last of them begins with last.
func newService(t *testing.T, uri, prefix, last, program string, args ...string) key {
	cmd := exec.Command(program, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	k := key{flags: []string{"--key", uri}}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), prefix) {
			k.env = append(k.env, lines.Text())
		}
		if strings.HasPrefix(lines.Text(), last) {
			break
		}
	}
	k.public = write(t, "key.pub", must(t, k.env, programs.signgate, append([]string{"key", "public"}, k.flags...)...))
	k.flags = append(k.flags, "--trusted-keys", k.public)
	return k
}

// newToken makes a SoftHSM token with one key. The public key is what
// pkcs11-tool says.
func newToken(t *testing.T, kind string) key {
	const pin = "2468135790"
	module := softHSM(t)
	tokens := t.TempDir()
	env := []string{"SOFTHSM2_CONF=" + write(t, "softhsm2.conf", "directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n")}
	must(t, env, "softhsm2-util", "--init-token", "--free", "--label", "release", "--so-pin", pin, "--pin", pin)
	tool := []string{"--module", module, "--token-label", "release", "--login", "--pin", pin}
	must(t, env, "pkcs11-tool", append(tool, "--keypairgen", "--key-type", kind, "--id", "01", "--label", "release", "--usage-sign")...)
	der := must(t, env, "pkcs11-tool", append(tool, "--read-object", "--type", "pubkey", "--id", "01")...)
	return key{
		flags:  []string{"--key", "pkcs11:token=release;object=release", "--pkcs11-module", module, "--pkcs11-pin-file", write(t, "pin", pin)},
		env:    env,
		public: write(t, "key.pub", encodePEM("PUBLIC KEY", []byte(der))),
	}
}

// softHSM returns the path of the PKCS#11 module.
func softHSM(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if paths, err := filepath.Glob(pattern); err == nil && len(paths) > 0 {
			return paths[0]
		}
	}
	t.Fatal("libsofthsm2.so is missing; " + packagesLine)
	return ""
}

// newCosign makes an encrypted key pair with cosign: a new P-256 key, or the
// key that is given.
func newCosign(t *testing.T, cosign string, from ...key) key {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "pair")
	args := []string{"generate-key-pair", "--output-key-prefix", prefix}
	for _, k := range from {
		args = []string{"import-key-pair", "--key", k.path, "--output-key-prefix", prefix}
	}
	must(t, nil, cosign, args...)
	if _, err := os.Stat(prefix + ".key"); err != nil {
		t.Fatal(err)
	}
	return key{flags: []string{"--key", prefix + ".key"}, path: prefix + ".key", public: prefix + ".pub"}
}
