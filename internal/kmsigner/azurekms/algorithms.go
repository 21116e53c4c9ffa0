package azurekms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// curve is a curve that signgate signs with. Azure has one algorithm and one
// hash for each (Key types, algorithms, and operations, "EC algorithms").
type curve struct {
	elliptic elliptic.Curve
	alg      signer.Algorithm
}

var curves = map[azkeys.CurveName]curve{
	azkeys.CurveNameP256: {elliptic.P256(), signer.ECDSASHA256},
	azkeys.CurveNameP384: {elliptic.P384(), signer.ECDSASHA384},
	azkeys.CurveNameP521: {elliptic.P521(), signer.ECDSASHA512},
}

// azureAlgorithms has Azure's names of our algorithms (RFC 7518 section 3.1).
var azureAlgorithms = map[signer.Algorithm]azkeys.SignatureAlgorithm{
	signer.ECDSASHA256:    azkeys.SignatureAlgorithmES256,
	signer.ECDSASHA384:    azkeys.SignatureAlgorithmES384,
	signer.ECDSASHA512:    azkeys.SignatureAlgorithmES512,
	signer.RSAPKCS1SHA256: azkeys.SignatureAlgorithmRS256,
}

// kind returns the type of a key without "-HSM", and whether that was there:
// EC-HSM keys and EC keys do the same.
func kind(kty *azkeys.KeyType) (azkeys.KeyType, bool) {
	if kty == nil {
		return "", false
	}
	plain, hsm := strings.CutSuffix(string(*kty), "-HSM")
	return azkeys.KeyType(plain), hsm
}

// publicKey reads a JSON web key (RFC 7518 sections 6.2.1 and 6.3.1) and
// returns it with the one algorithm it signs with.
func publicKey(id string, jwk *azkeys.JSONWebKey) (crypto.PublicKey, signer.Algorithm, error) {
	switch plain, _ := kind(jwk.Kty); plain {
	case azkeys.KeyTypeEC:
		return ecKey(id, jwk)
	case azkeys.KeyTypeRSA:
		pub := &rsa.PublicKey{N: new(big.Int).SetBytes(jwk.N), E: exponent(jwk.E)}
		if pub.E == 0 || pub.N.BitLen() == 0 || pub.N.Bit(0) == 0 {
			return nil, "", malformed(id)
		}
		return pub, signer.RSAPKCS1SHA256, signer.CheckKey(pub)
	case azkeys.KeyTypeOct:
		return nil, "", unsupported(id, "oct, which is symmetric: nobody could verify its signatures with a public key")
	default:
		return nil, "", unsupported(id, fmt.Sprintf("%q, which signgate does not sign with", clean(string(plain))))
	}
}

func ecKey(id string, jwk *azkeys.JSONWebKey) (crypto.PublicKey, signer.Algorithm, error) {
	name := azkeys.CurveName("")
	if jwk.Crv != nil {
		name = *jwk.Crv
	}
	c, ok := curves[name]
	if !ok {
		return nil, "", unsupported(id, fmt.Sprintf("EC on the curve %q, which no verifier of image signatures reads", clean(string(name))))
	}
	size := width(c.elliptic)
	if len(jwk.X) > size || len(jwk.Y) > size {
		return nil, "", malformed(id)
	}
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed, SEC 1 section 2.3.3
	copy(point[1+size-len(jwk.X):], jwk.X)
	copy(point[1+2*size-len(jwk.Y):], jwk.Y)
	pub, err := ecdsa.ParseUncompressedPublicKey(c.elliptic, point)
	if err != nil {
		return nil, "", malformed(id)
	}
	return pub, c.alg, nil
}

// exponent returns an RSA public exponent, and 0 for what is none.
func exponent(e []byte) int {
	n := new(big.Int).SetBytes(e)
	if n.BitLen() > 31 || n.Int64() < 3 || n.Bit(0) == 0 {
		return 0
	}
	return int(n.Int64())
}

func unsupported(id, what string) error {
	return fault.Configf("key_type_unsupported", "use a key of the type EC or EC-HSM on the curve P-256, which every verifier reads",
		"the Azure key %s is of the type %s", id, what)
}

func malformed(id string) error {
	return fault.Undecidedf("kms_unexpected", "try again; if it stays, check what answers in place of the vault",
		"Azure returned a public key for %s that is not one of its type", id)
}

// width returns the number of bytes of a coordinate or a scalar of c.
func width(c elliptic.Curve) int { return (c.Params().BitSize + 7) / 8 }

// encode returns the ASN.1 DER form (RFC 3279 section 2.2.3) of an ECDSA
// signature that Azure returns as r and s, each as wide as the curve (RFC 7518
// section 3.4): 64, 96 or 132 bytes. DER integers have no leading zeros, but
// for one before a set high bit. RSA signatures stay as they are.
func encode(id string, pub crypto.PublicKey, raw []byte) ([]byte, error) {
	ec, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return raw, nil
	}
	size := width(ec.Curve)
	if len(raw) != 2*size {
		return nil, fault.Undecidedf("kms_unexpected", "try again; if it stays, check what answers in place of the vault",
			"Azure returned an ECDSA signature of %d bytes for the key %s, not of %d", len(raw), id, 2*size)
	}
	var rs struct{ R, S *big.Int }
	rs.R, rs.S = new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])
	return asn1.Marshal(rs)
}
