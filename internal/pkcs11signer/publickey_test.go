//go:build linux && cgo

package pkcs11signer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

var oids = map[elliptic.Curve]asn1.ObjectIdentifier{
	elliptic.P256(): {1, 2, 840, 10045, 3, 1, 7}, elliptic.P384(): {1, 3, 132, 0, 34}, elliptic.P521(): {1, 3, 132, 0, 35},
}

func der(t testing.TB, v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestECPointBothEncodings(t *testing.T) {
	for curve, oid := range oids {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, point := range [][]byte{raw, der(t, raw)} {
			if pub, err := ecKey(der(t, oid), point); err != nil || !key.PublicKey.Equal(pub) {
				t.Errorf("%s, %d bytes: %v, %v", curve.Params().Name, len(point), pub, err)
			}
		}
		for _, point := range [][]byte{nil, raw[1:], append([]byte{4}, raw...), der(t, raw[1:]), make([]byte, len(raw)), append(der(t, raw), 0)} {
			_, err := ecKey(der(t, oid), point)
			check(t, err, fault.Undecided, "pkcs11_device")
		}
	}
	_, err := ecKey(der(t, asn1.ObjectIdentifier{1, 3, 132, 0, 10}), []byte{4})
	check(t, err, fault.Config, "key_type_unsupported")
}

func TestEdwardsKey(t *testing.T) {
	raw := make([]byte, 32)
	raw[0] = 4
	for _, params := range [][]byte{der(t, asn1.ObjectIdentifier{1, 3, 101, 112}), []byte("\x13\x0cedwards25519")} {
		for _, point := range [][]byte{raw, der(t, raw)} {
			if pub, err := edwardsKey(params, point); err != nil || signer.CheckKey(pub) != nil {
				t.Errorf("edwardsKey(%x, %x) = %v, %v", params, point, pub, err)
			}
		}
	}
	_, err := edwardsKey([]byte("\x13\x0aedwards448"), raw)
	check(t, err, fault.Config, "key_type_unsupported")
	_, err = edwardsKey(der(t, asn1.ObjectIdentifier{1, 3, 101, 112}), raw[1:])
	check(t, err, fault.Undecided, "pkcs11_device")
}

func TestRSAKey(t *testing.T) {
	for _, exponent := range [][]byte{{1}, {0}, {1, 0, 0, 0, 0}, make([]byte, 9), {255, 255, 255, 255, 255, 255, 255, 255, 255}} {
		_, err := rsaKey([]byte{1, 2, 3}, exponent)
		check(t, err, fault.Config, "key_type_unsupported")
	}
}

func TestEncodeECDSA(t *testing.T) {
	pub := &ecdsa.PublicKey{Curve: elliptic.P256()}
	raw := make([]byte, 64)
	raw[0], raw[63] = 0x80, 1
	var rs struct{ R, S *big.Int }
	sig, err := encode(pub, raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(sig, &rs); err != nil || rs.R.BitLen() != 256 || rs.S.Int64() != 1 {
		t.Errorf("%x is %v, %v", sig, rs, err)
	}
	for _, size := range []int{0, 63, 66, 71} {
		_, err := encode(pub, make([]byte, size))
		check(t, err, fault.Undecided, "pkcs11_device")
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(der(f, oids[elliptic.P256()]), append([]byte{4}, make([]byte, 64)...))
	f.Add([]byte("\x13\x0cedwards25519"), make([]byte, 34))
	f.Add([]byte{1}, []byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for name, parse := range map[string]func(a, b []byte) (any, error){
			"ec":      func(a, b []byte) (any, error) { return ecKey(a, b) },
			"edwards": func(a, b []byte) (any, error) { return edwardsKey(a, b) },
		} {
			if pub, err := parse(a, b); err == nil && signer.CheckKey(pub) != nil {
				t.Errorf("%s made an unsupported key of %x, %x", name, a, b)
			}
		}
		_, _ = rsaKey(a, b)
	})
}
