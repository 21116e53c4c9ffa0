//go:build linux && cgo

package pkcs11signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"

	"github.com/signgate/signgate/internal/fault"
)

// The CKK_ values of supported keys. CKK_EC_EDWARDS is of PKCS#11 3.0, which
// the binding does not have.
const (
	keyRSA     = 0x00
	keyEC      = 0x03
	keyEdwards = 0x40
)

// keyType returns the CKK_ value of a public key.
func keyType(pub crypto.PublicKey) uint {
	switch pub.(type) {
	case *rsa.PublicKey:
		return keyRSA
	case *ecdsa.PublicKey:
		return keyEC
	case ed25519.PublicKey:
		return keyEdwards
	}
	return ^uint(0)
}

// curves are the named curves by their object identifier (RFC 5480).
var curves = map[string]elliptic.Curve{
	"1.2.840.10045.3.1.7": elliptic.P256(),
	"1.3.132.0.34":        elliptic.P384(),
	"1.3.132.0.35":        elliptic.P521(),
}

// ecKey reads CKA_EC_PARAMS and CKA_EC_POINT.
func ecKey(params, point []byte) (crypto.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(params, &oid)
	if err != nil || len(rest) != 0 || curves[oid.String()] == nil {
		return nil, unsupportedCurve(params)
	}
	curve := curves[oid.String()]
	size := (curve.Params().BitSize + 7) / 8
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, unwrap(point, 1+2*size))
	if err != nil {
		return nil, badPoint(len(point))
	}
	return pub, nil
}

// edwardsKey reads the same attributes of an Edwards key. The parameters are
// an object identifier (RFC 8410) or the curve's name (PKCS#11 3.0).
func edwardsKey(params, point []byte) (crypto.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	var name string
	_, errOID := asn1.Unmarshal(params, &oid)
	_, errName := asn1.Unmarshal(params, &name)
	known := errOID == nil && (oid.String() == "1.3.101.112" || oid.String() == "1.3.6.1.4.1.11591.15.1") ||
		errName == nil && name == "edwards25519"
	if !known {
		return nil, unsupportedCurve(params)
	}
	raw := unwrap(point, ed25519.PublicKeySize)
	if len(raw) != ed25519.PublicKeySize {
		return nil, badPoint(len(point))
	}
	return ed25519.PublicKey(raw), nil
}

// unwrap returns the point itself. The specification has it in a DER OCTET
// STRING, some modules return it bare; the two differ in their length.
func unwrap(point []byte, size int) []byte {
	var inner []byte
	if len(point) == size {
		return point
	}
	if rest, err := asn1.Unmarshal(point, &inner); err != nil || len(rest) != 0 || len(inner) != size {
		return nil
	}
	return inner
}

// rsaKey reads CKA_MODULUS and CKA_PUBLIC_EXPONENT.
func rsaKey(modulus, exponent []byte) (crypto.PublicKey, error) {
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || n.Sign() == 0 {
		return nil, fault.Configf("key_type_unsupported", "use a key with the public exponent 65537", "the RSA key on the token has an unusable modulus or public exponent")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func unsupportedCurve(params []byte) error {
	return fault.Configf("key_type_unsupported", "use P-256, P-384, P-521, RSA 2048 to 4096 or Ed25519",
		"the key on the token is on a curve that is not supported (CKA_EC_PARAMS %x)", params[:min(len(params), 32)])
}

func badPoint(size int) error {
	return fault.Undecidedf("pkcs11_device", "look for an update of the module, or import the certificate of the key",
		"the token returned a public key point of %d bytes that is not on its curve", size)
}
