//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

func TestContract(t *testing.T) {
	ec := []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512}
	rsa := []signer.Algorithm{signer.RSAPKCS1SHA256, signer.RSAPSSSHA256}
	for label, algs := range map[string][]signer.Algorithm{
		"p256": ec, "p384": ec, "p521": ec, "always": ec,
		"rsa2048": rsa, // has no public object: the private one tells
		"rsa3072": rsa, "ed25519": {signer.Ed25519},
	} {
		t.Run(label, func(t *testing.T) {
			signertest.Run(t, func(t *testing.T) signer.Key { return open(t, "pkcs11:token=lab;object="+label) }, algs, labPIN)
		})
	}
}

func TestGuarded(t *testing.T) {
	s, err := signer.Guard(open(t, "pkcs11:token=lab;object=p256"), retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Error(err)
	}
}

func TestIdentity(t *testing.T) {
	k := open(t, "pkcs11:token=lab;object=p256?pin-value="+labPIN)
	if !regexp.MustCompile(`^pkcs11:serial=[0-9a-f]{16};id=%01$`).MatchString(k.ID()) {
		t.Errorf("ID = %q", k.ID())
	}
	if again := open(t, k.ID()); again.ID() != k.ID() {
		t.Errorf("the key %s opened as %s", k.ID(), again.ID())
	}
	for u, want := range map[URI]string{
		{Token: "t", ID: "\x01", Object: "o"}:  "pkcs11:token=t;id=%01",
		{Token: "t", Serial: "s", Object: "o"}: "pkcs11:serial=s;object=o",
	} {
		if got := identity(u); got != want {
			t.Errorf("identity(%v) = %s, want %s", u, got, want)
		}
	}
}

func TestSelectors(t *testing.T) {
	for _, uri := range []string{
		"pkcs11:token=lab;id=%01", "pkcs11:token=lab;object=p256;id=%01;type=private", "pkcs11:token=lab%20%00;object=p256%00",
		"pkcs11:token=lab;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;object=p256", "pkcs11:token=burnt",
		"pkcs11:token=lab;library-manufacturer=SoftHSM;id=%01", "pkcs11:token=lab;slot-manufacturer=SoftHSM%20project;id=%01",
	} {
		open(t, uri)
	}
	lab := Options{Module: lab.Module, PIN: labPIN}
	for uri, want := range map[string]string{
		"pkcs11:token=lab;object=nosuch":        "pkcs11_key_not_found",
		"pkcs11:token=lab;object=p256;id=%02":   "pkcs11_key_not_found",
		"pkcs11:token=mute":                     "pkcs11_key_not_found",
		"pkcs11:token=lab;object=double":        "pkcs11_key_ambiguous",
		"pkcs11:token=lab":                      "pkcs11_key_ambiguous",
		"pkcs11:token=nosuch":                   "pkcs11_token_not_found",
		"pkcs11:token=lab;model=other":          "pkcs11_token_not_found",
		"pkcs11:token=lab;slot-description=x":   "pkcs11_token_not_found",
		"pkcs11:library-description=other":      "pkcs11_token_not_found",
		"pkcs11:object=p256":                    "pkcs11_token_ambiguous",
		"pkcs11:token=lab;object=bitcoin":       "key_type_unsupported",
		"pkcs11:token=lab;object=short":         "key_type_unsupported",
		"pkcs11:token=lab;object=nopublic":      "pkcs11_public_missing",
		"pkcs11:token=lab;object=same-a":        "pkcs11_key_ambiguous", // two public keys with its id
		"pkcs11:token=lab;object=p256;tokn=lab": "pkcs11_uri_invalid",
	} {
		t.Run(uri, func(t *testing.T) { refuse(t, uri, lab, fault.Config, want) })
	}
	refuse(t, "pkcs11:token=lab;id=0102", lab, fault.Config, "pkcs11_key_not_found", "written %01%02, not 0102")
}

var uriText = regexp.MustCompile(`pkcs11:[^ ,]*[^ ,;]`)

// Whatever an error offers can be copied.
func TestCandidatesOpen(t *testing.T) {
	for uri, offered := range map[string]int{"pkcs11:token=twin;object=key": 2, "pkcs11:token=lab;object=double": 2} {
		opts := Options{PIN: labPIN}
		_, err := Open(t.Context(), uri+"?module-path="+lab.Module, opts)
		if err == nil {
			t.Fatalf("%s opened", uri)
		}
		_, text, _ := strings.Cut(err.Error(), " match ")
		candidates := uriText.FindAllString(text, -1)[1:]
		if len(candidates) != offered {
			t.Fatalf("%v offers %q, want %d", err, candidates, offered)
		}
		ids := map[string]bool{}
		for _, c := range candidates {
			ids[openWith(t, c, opts).ID()] = true
		}
		if len(ids) != offered {
			t.Errorf("the candidates of %s are the keys %v", uri, ids)
		}
	}
}

// A key with a certificate instead of a public object, and one whose public
// object has another id but the same label.
func TestPublicHalf(t *testing.T) {
	open(t, "pkcs11:token=lab;object=relabelled")
	k := open(t, "pkcs11:token=lab;object=certified")
	file := filepath.Join(t.TempDir(), "cert.der")
	if err := os.WriteFile(file, certificate(t, k.Public()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"--write-object " + file + " --type cert --id 0b", "--delete-object --type pubkey --id 0b"} {
		if err := lab.PKCS11Tool(t.Context(), strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, "pkcs11:token=lab;object=certified")
	if !k.Public().(*ecdsa.PublicKey).Equal(again.Public()) {
		t.Error("the certificate gave another key")
	}
}

func certificate(t *testing.T, pub any) []byte {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, ca)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestClosed(t *testing.T) {
	k := open(t, "pkcs11:token=lab;object=p256")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := k.Sign(t.Context(), signer.ECDSASHA256, nil)
	check(t, err, fault.Undecided, "pkcs11_device", "closed")
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, "pkcs11:token=lab;object=p256", Options{Module: lab.Module, PIN: labPIN})
	check(t, err, fault.Undecided, "pkcs11_timeout")
}
