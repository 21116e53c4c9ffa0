package filesigner_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/filesigner"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

const password = "correct horse battery staple"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newEC(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func pkcs8(key any) []byte { return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }

func sec1(key *ecdsa.PrivateKey) []byte {
	return block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(key)))
}

// sealed encrypts like cosign, with the lightest parameters it reads.
func sealed(label string, key any, password string) []byte {
	return sealedDER(label, must(x509.MarshalPKCS8PrivateKey(key)), password)
}

func sealedDER(label string, der []byte, password string) []byte {
	return block(label, must(encrypted.EncryptWithCustomKDFParameters(der, []byte(password), encrypted.Legacy)))
}

func env(pairs ...string) filesigner.Options {
	return filesigner.Options{LookupEnv: func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}}
}

func write(t *testing.T, text []byte) string {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContract(t *testing.T) {
	ecdsaAlgs := []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512}
	rsaAlgs := []signer.Algorithm{signer.RSAPKCS1SHA256, signer.RSAPSSSHA256}
	p256, rsa2048 := newEC(elliptic.P256()), must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	parameters := block("EC PARAMETERS", []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07})
	for name, c := range map[string]struct {
		text []byte
		algs []signer.Algorithm
	}{
		"PKCS#8 P-256":          {pkcs8(p256), ecdsaAlgs},
		"PKCS#8 P-384":          {pkcs8(newEC(elliptic.P384())), ecdsaAlgs},
		"PKCS#8 P-521":          {pkcs8(newEC(elliptic.P521())), ecdsaAlgs},
		"PKCS#8 RSA-2048":       {pkcs8(rsa2048), rsaAlgs},
		"PKCS#8 RSA-3072":       {pkcs8(must(rsa.GenerateKey(rand.Reader, 3072))), rsaAlgs},
		"PKCS#8 Ed25519":        {pkcs8(ed), []signer.Algorithm{signer.Ed25519}},
		"SEC 1 P-256":           {sec1(p256), ecdsaAlgs},
		"SEC 1 with parameters": {append(parameters, sec1(p256)...), ecdsaAlgs},
		"PKCS#1 RSA-2048":       {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)), rsaAlgs},
		"cosign P-256":          {sealed("ENCRYPTED COSIGN PRIVATE KEY", p256, password), ecdsaAlgs},
		"sigstore P-256":        {sealed("ENCRYPTED SIGSTORE PRIVATE KEY", p256, password), ecdsaAlgs},
		"sigstore RSA-2048":     {sealed("ENCRYPTED SIGSTORE PRIVATE KEY", rsa2048, password), rsaAlgs},
		"PKCS#8 ML-DSA-44":      {mldsaSets()[0].pem(mldsaSets()[0].seed()), []signer.Algorithm{signer.MLDSA44}},
		"PKCS#8 ML-DSA-65":      {mldsaSets()[1].pem(mldsaSets()[1].both()), []signer.Algorithm{signer.MLDSA65}},
		"PKCS#8 ML-DSA-87":      {mldsaSets()[2].pem(mldsaSets()[2].seed()), []signer.Algorithm{signer.MLDSA87}},
		"sigstore ML-DSA-65":    {sealedDER("ENCRYPTED SIGSTORE PRIVATE KEY", mldsaSets()[1].der(mldsaSets()[1].seed()), password), []signer.Algorithm{signer.MLDSA65}},
		"sigstore Ed25519":      {sealed("ENCRYPTED SIGSTORE PRIVATE KEY", ed, password), []signer.Algorithm{signer.Ed25519}},
	} {
		t.Run(name, func(t *testing.T) {
			path, opts := write(t, c.text), env("COSIGN_PASSWORD", password)
			open := func(t *testing.T) signer.Key {
				key, err := filesigner.Open(t.Context(), path, opts)
				if err != nil {
					t.Fatal(err)
				}
				return key
			}
			signertest.Run(t, open, c.algs, password, path)
		})
	}
}

func TestIdentity(t *testing.T) {
	key := newEC(elliptic.P256())
	fingerprint := must(signer.Fingerprint(key.Public()))
	opts := env("KEY", string(sec1(key)))
	for _, uri := range []string{write(t, pkcs8(key)), write(t, sec1(key)), "env://KEY"} {
		opened, err := filesigner.Open(t.Context(), uri, opts)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
		} else if opened.ID() != "file:"+fingerprint {
			t.Errorf("%s: ID %s, want file:%s", uri, opened.ID(), fingerprint)
		}
	}
}

func TestPassword(t *testing.T) {
	key := newEC(elliptic.P256())
	path := write(t, sealed("ENCRYPTED SIGSTORE PRIVATE KEY", key, password))
	empty := write(t, sealed("ENCRYPTED SIGSTORE PRIVATE KEY", key, ""))
	const own, cosign = "SIGNGATE_KEY_PASSWORD", "COSIGN_PASSWORD"
	for _, c := range []struct {
		path string
		env  []string
		code string
	}{
		{path, []string{own, password}, ""},
		{path, []string{cosign, password}, ""},
		{path, []string{own, password, cosign, "wrong-secret"}, ""},
		{path, []string{own, "wrong-secret", cosign, password}, "key_password_wrong"},
		{path, []string{own, "", cosign, password}, "key_password_wrong"},
		{path, nil, "key_password_missing"},
		{empty, []string{own, ""}, ""},
		{empty, []string{cosign, ""}, ""},
		{empty, nil, "key_password_missing"},
	} {
		_, err := filesigner.Open(t.Context(), c.path, env(c.env...))
		if c.code == "" && err != nil || c.code != "" && fault.CodeOf(err) != c.code {
			t.Errorf("%q: %v, want code %q", c.env, err, c.code)
		}
		if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "wrong-secret")) {
			t.Errorf("%v shows a password", err)
		}
	}
}

func TestFaults(t *testing.T) {
	p256 := newEC(elliptic.P256())
	good := pkcs8(p256)
	spki := must(x509.MarshalPKIXPublicKey(p256.Public()))
	legacy := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	for name, c := range map[string]struct {
		text []byte
		code string
		says string
	}{
		"empty":              {nil, "key_file_invalid", "no PEM block"},
		"text":               {[]byte("hello"), "key_file_invalid", "no PEM block"},
		"certificate":        {block("CERTIFICATE", []byte("x")), "key_file_invalid", "a certificate"},
		"public key":         {block("PUBLIC KEY", spki), "key_file_invalid", "a public key"},
		"ssh public key":     {[]byte("ssh-ed25519 AAAA me"), "key_file_invalid", "a public key of OpenSSH"},
		"OpenSSH":            {block("OPENSSH PRIVATE KEY", []byte("x")), "key_file_invalid", "ssh-keygen -p"},
		"encrypted PKCS#8":   {block("ENCRYPTED PRIVATE KEY", []byte("x")), "key_file_invalid", "openssl pkey -in"},
		"traditional":        {legacy, "key_file_invalid", "traditional encryption"},
		"parameters only":    {block("EC PARAMETERS", []byte("x")), "key_file_invalid", "only EC parameters"},
		"unknown block":      {block("AGE SECRET KEY", []byte("x")), "key_file_invalid", "unknown kind"},
		"two keys":           {append(append([]byte{}, good...), good...), "key_file_invalid", "more than one"},
		"truncated":          {good[:len(good)-40], "key_file_invalid", "line breaks"},
		"one line":           {[]byte(strings.ReplaceAll(string(good), "\n", " ")), "key_file_invalid", "line breaks"},
		"base64 twice":       {[]byte(base64.StdEncoding.EncodeToString(good)), "key_file_invalid", "base64 -d"},
		"DER":                {must(x509.MarshalPKCS8PrivateKey(p256)), "key_file_invalid", "DER"},
		"damaged":            {block("PRIVATE KEY", []byte("x")), "key_file_invalid", "is damaged"},
		"label contradicts":  {block("RSA PRIVATE KEY", must(x509.MarshalECPrivateKey(p256))), "key_file_invalid", "is damaged"},
		"damaged encryption": {block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}")), "key_file_invalid", "cosign"},
		"too large":          {append(good, make([]byte, 64<<10)...), "key_file_invalid", "larger than 64 KiB"},
		"P-224":              {pkcs8(newEC(elliptic.P224())), "key_type_unsupported", "P-224"},
		"secp256k1":          {block("EC PRIVATE KEY", secp256k1(p256)), "key_type_unsupported", "use P-256"},
		"X25519":             {pkcs8(must(ecdh.X25519().GenerateKey(rand.Reader))), "key_type_unsupported", "key agreement"},
		"RSA-1024":           {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa1024(t))), "key_type_unsupported", "RSA of 1024"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := filesigner.Open(t.Context(), write(t, c.text), env("COSIGN_PASSWORD", password))
			wantFault(t, err, c.code, c.says)
		})
	}
}

func wantFault(t *testing.T, err error, code, says string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), says) {
		t.Errorf("%v (%s, %s), want a configuration fault %s that says %q", err, fault.OutcomeOf(err), fault.CodeOf(err), code, says)
	}
}

func rsa1024(t *testing.T) *rsa.PrivateKey {
	t.Setenv("GODEBUG", "rsa1024min=0")
	return must(rsa.GenerateKey(rand.Reader, 1024))
}

// secp256k1 returns the SEC 1 form of key with the curve's name replaced by
// secp256k1 (1.3.132.0.10).
func secp256k1(key *ecdsa.PrivateKey) []byte {
	d := must(key.Bytes())
	der := append([]byte{0x30, 0x2e, 0x02, 0x01, 0x01, 0x04, 0x20}, d...)
	return append(der, 0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a)
}

func TestNames(t *testing.T) {
	secret := string(pkcs8(newEC(elliptic.P256())))
	unreadable := write(t, nil)
	must(0, os.Chmod(unreadable, 0))
	for name, c := range map[string]struct{ uri, code, says string }{
		"missing":          {filepath.Join(t.TempDir(), "none.pem"), "key_file_missing", "none.pem"},
		"a directory":      {t.TempDir(), "key_file_unreadable", "directory"},
		"no variable":      {"env://NONE", "key_file_missing", "NONE"},
		"a bad name":       {"env://A=B", "key_uri_invalid", "env://SIGNING_KEY"},
		"the key":          {secret, "key_uri_invalid", "text of a key"},
		"the key on env":   {"env://" + secret, "key_uri_invalid", "text of a key"},
		"the key, base64":  {base64.StdEncoding.EncodeToString([]byte(secret)), "key_uri_invalid", "text of a key"},
		"the key, one row": {strings.ReplaceAll(secret, "\n", ""), "key_uri_invalid", "text of a key"},
		"a long name":      {strings.Repeat("s3cret/", 200), "key_file_", "the key file "},
		"a NUL":            {"a\x00b", "key_file_unreadable", "invalid argument"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := filesigner.Open(t.Context(), c.uri, env())
			if err == nil || !strings.HasPrefix(fault.CodeOf(err), c.code) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v (%s), want %s that says %q", err, fault.CodeOf(err), c.code, c.says)
			}
			for _, s := range []string{strings.Split(secret, "\n")[1], "s3cret"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%v shows a secret", err)
				}
			}
		})
	}
	if os.Geteuid() != 0 {
		_, err := filesigner.Open(t.Context(), unreadable, env())
		wantFault(t, err, "key_file_unreadable", "permission denied")
	}
}

func TestInterrupted(t *testing.T) {
	path := write(t, pkcs8(newEC(elliptic.P256())))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := filesigner.Open(ctx, path, env()); fault.OutcomeOf(err) != fault.Undecided {
		t.Errorf("Open with a cancelled context: %v, want undecided", err)
	}
}

func FuzzOpen(f *testing.F) {
	key := newEC(elliptic.P256())
	for _, seed := range [][]byte{pkcs8(key), sec1(key), sealed("ENCRYPTED COSIGN PRIVATE KEY", key, password),
		block("OPENSSH PRIVATE KEY", []byte("x")), []byte("-----BEGIN PRIVATE KEY-----")} {
		f.Add(seed)
	}
	for _, set := range mldsaSets() {
		f.Add(set.pem(set.seed()))
		f.Add(set.pem(set.both()))
		f.Add(set.pem(set.expanded()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		opened, err := filesigner.Open(t.Context(), "env://KEY", env("KEY", string(text), "COSIGN_PASSWORD", password))
		if err != nil {
			if fault.OutcomeOf(err) != fault.Config || fault.CodeOf(err) == "" {
				t.Errorf("%v is no configuration fault", err)
			}
			return
		}
		var _ crypto.PublicKey = opened.Public()
		if err := signer.CheckKey(opened.Public()); err != nil {
			t.Error(err)
		}
	})
}
