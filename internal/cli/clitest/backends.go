package clitest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

// genKey writes NAME.key (PKCS #8) and NAME.pub:
//
//	genkey NAME [P-256|P-384|P-521|P-224|RSA-1024|RSA-2048|Ed25519] [cosign PASSWORD]
func genKey(ts *testscript.TestScript, _ bool, args []string) {
	kind := "P-256"
	if len(args) > 1 {
		kind = args[1]
	}
	key := newKey(ts, kind)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	if len(args) == 4 {
		block.Type = "ENCRYPTED SIGSTORE PRIVATE KEY"
		block.Bytes, err = encrypted.Encrypt(der, []byte(args[3]))
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(block), 0o600))
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0o644))
}

func newKey(ts *testscript.TestScript, kind string) (key crypto.Signer) {
	curves := map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	var err error
	bits, isRSA := strings.CutPrefix(kind, "RSA-")
	switch {
	case curves[kind] != nil:
		key, err = ecdsa.GenerateKey(curves[kind], rand.Reader)
	case isRSA:
		n, e := strconv.Atoi(bits)
		ts.Check(e)
		key, err = rsa.GenerateKey(rand.Reader, n)
	case kind == "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		ts.Fatalf("no key type %s", kind)
	}
	ts.Check(err)
	return key
}

// startKMS starts a fake AWS KMS with one key, at alias/release, and leads the
// environment to it. KMSKEY is its ARN:
//
//	kms [ECC_NIST_P256]
func startKMS(ts *testscript.TestScript, _ bool, args []string) {
	s, err := kmstest.New(kmstest.Options{})
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	spec := "ECC_NIST_P256"
	if len(args) > 0 {
		spec = args[0]
	}
	arn, err := s.CreateKey(kmstest.Spec(spec))
	ts.Check(err)
	s.Alias("alias/release", arn)
	ts.Setenv("KMSKEY", arn)
	for k, v := range s.Env() {
		ts.Setenv(k, v)
	}
}

// startVault starts a fake Vault with the key "release", and leads the
// environment to it:
//
//	vault [ecdsa-p256]
func startVault(ts *testscript.TestScript, _ bool, args []string) {
	s, err := vaulttest.New(vaulttest.Options{})
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	kind := vaulttest.P256
	if len(args) > 0 {
		kind = vaulttest.Type(args[0])
	}
	ts.Check(s.CreateKey(vaulttest.KeyAt{Name: "release"}, kind))
	for k, v := range s.Env() {
		ts.Setenv(k, v)
	}
}

// startGoogle starts a fake Google Cloud KMS with a key of one version, and
// leads the environment to it. GCPKEY is the name of the version:
//
//	google [EC_SIGN_P256_SHA256]
func startGoogle(ts *testscript.TestScript, _ bool, args []string) {
	s, err := gcptest.New(gcptest.Options{})
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	algorithm := gcptest.P256
	if len(args) > 0 {
		algorithm = gcptest.Algorithm(args[0])
	}
	name, err := s.CreateKey("release", algorithm)
	ts.Check(err)
	ts.Setenv("GCPKEY", name)
	credentials := ts.MkAbs("gha-creds.json")
	ts.Check(os.WriteFile(credentials, s.Credentials(gcptest.Federated), 0o600))
	for k, v := range s.Env(credentials) {
		ts.Setenv(k, v)
	}
}

// makeToken makes a SoftHSM token "lab" with the PIN 246802468 and a key
// "release". MODULE is the library:
//
//	softhsm [EC:prime256v1]
func makeToken(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs("softhsm")
	ts.Check(os.MkdirAll(dir, 0o700))
	token, err := softhsm.NewToken(context.Background(), dir, "lab", "246802468")
	ts.Check(err)
	kind := "EC:prime256v1"
	if len(args) > 0 {
		kind = args[0]
	}
	ts.Check(token.GenerateKey(context.Background(), kind, "01", "release"))
	ts.Setenv("MODULE", token.Module)
	ts.Setenv("SOFTHSM2_CONF", token.Conf)
}

// breakRegistry answers requests in the registry's place: those of a method
// whose path matches a pattern get a status, the first N of them or all.
//
//	break GET */manifests/* 429 [N]
//	break off
func breakRegistry(ts *testscript.TestScript, _ bool, args []string) {
	s := server(ts)
	if args[0] == "off" {
		s.Intercept(nil)
		return
	}
	status, err := strconv.Atoi(args[2])
	ts.Check(err)
	left := int64(1 << 40)
	if len(args) > 3 {
		left, err = strconv.ParseInt(args[3], 10, 64)
		ts.Check(err)
	}
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		match, _ := path.Match(args[1], path.Base(path.Dir(r.URL.Path))+"/"+path.Base(r.URL.Path))
		if r.Method != args[0] || !match || atomic.AddInt64(&left, -1) < 0 {
			return false
		}
		w.WriteHeader(status)
		return true
	})
}

// tamper replaces the signature manifest of an image with a file:
//
//	tamper app DIGEST file
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	putManifest(ts, args[0], strings.Replace(args[1], ":", "-", 1)+".sig", args[2], "application/vnd.oci.image.manifest.v1+json")
}

// put pushes a file as a manifest and sets a variable to its digest:
//
//	put DIGEST app tag file media-type
func put(ts *testscript.TestScript, _ bool, args []string) {
	putManifest(ts, args[1], args[2], args[3], args[4])
	ts.Setenv(args[0], fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(ts.ReadFile(args[3])))))
}

func putManifest(ts *testscript.TestScript, repo, ref, file, mediaType string) {
	req, err := http.NewRequest(http.MethodPut, "http://"+ts.Getenv("REG")+"/v2/"+repo+"/manifests/"+ref, strings.NewReader(ts.ReadFile(file)))
	ts.Check(err)
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		ts.Fatalf("PUT %s: %s", ref, resp.Status)
	}
	server(ts).Requests()
}
