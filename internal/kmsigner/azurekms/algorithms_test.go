package azurekms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

const someKey = "https://acme.vault.azure.net/keys/release/" + v32

// TestWidths: 10,000 signatures per curve come back from r and s of fixed width
// as the DER that this test writes by hand; those with leading zeros, and a
// sample of the others, are verified as well.
//
// They are ECDSA signatures (FIPS 186-5 section 6.4.1) of many messages with
// each of some nonces, which is much faster than to sign, and safe for keys that
// are thrown away.
func TestWidths(t *testing.T) {
	const nonces, messages = 250, 40
	for name, c := range curves {
		t.Run(string(name), func(t *testing.T) {
			key, err := ecdsa.GenerateKey(c.elliptic, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			short := 0
			for i := range nonces {
				nonce, err := ecdsa.GenerateKey(c.elliptic, rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				for j := range messages {
					message := fmt.Appendf(nil, "%d %d", i, j)
					if throughWidths(t, c, key, nonce, message, j == 0 && i%10 == 0) {
						short++
					}
				}
			}
			if short == 0 {
				t.Error("no signature had a leading zero")
			}
		})
	}
}

// throughWidths reports whether r or s began with eight zeros or more.
func throughWidths(t *testing.T, c curve, key, nonce *ecdsa.PrivateKey, message []byte, verify bool) bool {
	t.Helper()
	r, s := signWith(c, key, nonce, message)
	raw := make([]byte, 2*width(c.elliptic))
	r.FillBytes(raw[:width(c.elliptic)])
	s.FillBytes(raw[width(c.elliptic):])
	got, err := encode(someKey, key.Public(), raw)
	if want := der(r, s); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%x became %x, %v; want %x", raw, got, err, want)
	}
	short := min(r.BitLen(), s.BitLen()) <= c.elliptic.Params().BitSize-8
	if short || verify {
		if err := c.alg.Verify(key.Public(), message, got); err != nil {
			t.Fatalf("%x: %v", got, err)
		}
	}
	return short
}

// signWith returns r = x(kG) mod n and s = (e + r·d)/k mod n.
func signWith(c curve, key, nonce *ecdsa.PrivateKey, message []byte) (r, s *big.Int) {
	n := c.elliptic.Params().N
	number := func(k *ecdsa.PrivateKey) *big.Int {
		b, _ := k.Bytes()
		return new(big.Int).SetBytes(b)
	}
	point, _ := nonce.PublicKey.Bytes()
	r = new(big.Int).SetBytes(point[1 : 1+width(c.elliptic)])
	r.Mod(r, n)
	e := new(big.Int).SetBytes(c.alg.Digest(message)) // no longer than n here
	s = new(big.Int).Mul(r, number(key))
	s.Add(s, e).Mul(s, new(big.Int).ModInverse(number(nonce), n)).Mod(s, n)
	return r, s
}

// der writes a SEQUENCE of two INTEGERs (X.690 sections 8.3 and 8.9).
func der(r, s *big.Int) []byte {
	var body []byte
	for _, n := range []*big.Int{r, s} {
		b := n.Bytes()
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		body = append(append(body, 2, byte(len(b))), b...)
	}
	if len(body) >= 0x80 {
		return append([]byte{0x30, 0x81, byte(len(body))}, body...)
	}
	return append([]byte{0x30, byte(len(body))}, body...)
}

func TestWidthsThatAreWrong(t *testing.T) {
	for name, c := range curves {
		key, _ := ecdsa.GenerateKey(c.elliptic, rand.Reader)
		for _, n := range []int{0, 1, 63, 65, 70, 95, 97, 130, 131, 133, 139} {
			if _, err := encode(someKey, key.Public(), make([]byte, n)); fault.CodeOf(err) != "kms_unexpected" || fault.IsTransient(err) {
				t.Errorf("%s: %d bytes: %v", name, n, err)
			}
		}
		der, err := encode(someKey, key.Public(), make([]byte, 2*width(c.elliptic)))
		if err != nil || c.alg.Verify(key.Public(), nil, der) == nil {
			t.Errorf("%s: zeros: %x, %v; want a signature that does not verify", name, der, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(make([]byte, 64))
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f.Fuzz(func(t *testing.T, raw []byte) {
		der, err := encode(someKey, key.Public(), raw)
		if (err == nil) != (len(raw) == 64) || err == nil && signer.ECDSASHA256.Verify(key.Public(), nil, der) == nil {
			t.Errorf("%x: %x, %v", raw, der, err)
		}
	})
}

func TestPublicKey(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	point, _ := ec.PublicKey.Bytes()
	x, y := point[1:33], point[33:]
	n, _ := rsa.GenerateKey(rand.Reader, 2048)
	small := new(big.Int).SetBit(big.NewInt(1), 1023, 1).Bytes()
	web := func(kty azkeys.KeyType, crv azkeys.CurveName) *azkeys.JSONWebKey {
		return &azkeys.JSONWebKey{Kty: &kty, Crv: &crv, X: x, Y: y, N: n.N.Bytes(), E: []byte{1, 0, 1}}
	}
	with := func(w *azkeys.JSONWebKey, change func(*azkeys.JSONWebKey)) *azkeys.JSONWebKey {
		change(w)
		return w
	}
	for name, tc := range map[string]struct {
		jwk  *azkeys.JSONWebKey
		alg  signer.Algorithm
		code string
	}{
		"EC":             {web("EC", "P-256"), signer.ECDSASHA256, ""},
		"EC-HSM":         {web("EC-HSM", "P-256"), signer.ECDSASHA256, ""},
		"RSA":            {web("RSA", ""), signer.RSAPKCS1SHA256, ""},
		"RSA-HSM":        {web("RSA-HSM", ""), signer.RSAPKCS1SHA256, ""},
		"P-256K":         {web("EC", "P-256K"), "", "key_type_unsupported"},
		"P-224":          {web("EC", "P-224"), "", "key_type_unsupported"},
		"no curve":       {with(web("EC", ""), func(w *azkeys.JSONWebKey) { w.Crv = nil }), "", "key_type_unsupported"},
		"oct":            {web("oct", ""), "", "key_type_unsupported"},
		"oct-HSM":        {web("oct-HSM", ""), "", "key_type_unsupported"},
		"OKP":            {web("OKP", "Ed25519"), "", "key_type_unsupported"},
		"no type":        {new(azkeys.JSONWebKey), "", "key_type_unsupported"},
		"RSA 1024":       {with(web("RSA", ""), func(w *azkeys.JSONWebKey) { w.N = small }), "", "key_type_unsupported"},
		"another curve":  {web("EC", "P-384"), "", "kms_unexpected"},
		"off the curve":  {with(web("EC", "P-256"), func(w *azkeys.JSONWebKey) { w.X = y }), "", "kms_unexpected"},
		"long x":         {with(web("EC", "P-256"), func(w *azkeys.JSONWebKey) { w.X = append([]byte{0}, x...) }), "", "kms_unexpected"},
		"no coordinates": {with(web("EC", "P-256"), func(w *azkeys.JSONWebKey) { w.X, w.Y = nil, nil }), "", "kms_unexpected"},
		"no modulus":     {with(web("RSA", ""), func(w *azkeys.JSONWebKey) { w.N = nil }), "", "kms_unexpected"},
		"exponent 1":     {with(web("RSA", ""), func(w *azkeys.JSONWebKey) { w.E = []byte{1} }), "", "kms_unexpected"},
		"exponent even":  {with(web("RSA", ""), func(w *azkeys.JSONWebKey) { w.E = []byte{4} }), "", "kms_unexpected"},
		"exponent long":  {with(web("RSA", ""), func(w *azkeys.JSONWebKey) { w.E = []byte{1, 0, 0, 0, 0, 0, 0, 0, 1} }), "", "kms_unexpected"},
	} {
		pub, alg, err := publicKey(someKey, tc.jwk)
		if (err == nil) != (tc.code == "") || err != nil && fault.CodeOf(err) != tc.code || err == nil && (alg != tc.alg || signer.CheckKey(pub) != nil) {
			t.Errorf("%s: %T, %s, %v; want %s %q", name, pub, alg, err, tc.alg, tc.code)
		}
	}
}

// Coordinates may come without their leading zeros.
func TestShortCoordinates(t *testing.T) {
	kty, crv := azkeys.KeyTypeEC, azkeys.CurveNameP256
	for {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		point, _ := key.PublicKey.Bytes()
		if point[1] != 0 {
			continue
		}
		pub, _, err := publicKey(someKey, &azkeys.JSONWebKey{Kty: &kty, Crv: &crv, X: point[2:33], Y: point[33:]})
		if err != nil || !key.PublicKey.Equal(pub) {
			t.Errorf("%x: %v", point, err)
		}
		return
	}
}
