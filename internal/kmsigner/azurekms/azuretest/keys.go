package azuretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// Spec is the type of a key to create, in Azure's names.
type Spec string

// The types that Azure signs with. P-256K is secp256k1, with a key of another
// curve behind it: Go has no secp256k1, and no client of ours uses it.
const (
	P256    Spec = "EC P-256"
	P256HSM Spec = "EC-HSM P-256"
	P384    Spec = "EC P-384"
	P521    Spec = "EC-HSM P-521"
	P256K   Spec = "EC P-256K"
	RSA2048 Spec = "RSA 2048"
	RSA3072 Spec = "RSA-HSM 3072"
	RSA4096 Spec = "RSA-HSM 4096"
	Oct     Spec = "oct-HSM"
)

func (s Spec) generate() (azkeys.KeyType, azkeys.CurveName, crypto.Signer) {
	switch s {
	case P256HSM:
		return azkeys.KeyTypeECHSM, azkeys.CurveNameP256, onCurve(elliptic.P256())
	case P384:
		return azkeys.KeyTypeEC, azkeys.CurveNameP384, onCurve(elliptic.P384())
	case P521:
		return azkeys.KeyTypeECHSM, azkeys.CurveNameP521, onCurve(elliptic.P521())
	case P256K:
		return azkeys.KeyTypeEC, azkeys.CurveNameP256K, onCurve(elliptic.P256())
	case RSA2048:
		return azkeys.KeyTypeRSA, "", ofBits(2048)
	case RSA3072:
		return azkeys.KeyTypeRSAHSM, "", ofBits(3072)
	case RSA4096:
		return azkeys.KeyTypeRSAHSM, "", ofBits(4096)
	case Oct:
		return azkeys.KeyTypeOctHSM, "", onCurve(elliptic.P256())
	}
	return azkeys.KeyTypeEC, azkeys.CurveNameP256, onCurve(elliptic.P256())
}

func onCurve(c elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err) // of a curve of Go's own
	}
	return key
}

func ofBits(n int) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, n)
	if err != nil {
		panic(err)
	}
	return key
}

// jwk returns the public key as RFC 7518 section 6 writes it.
func (ver *version) jwk(kid string) *azkeys.JSONWebKey {
	id := azkeys.ID(kid)
	out := &azkeys.JSONWebKey{KID: &id, Kty: &ver.kty}
	for _, op := range ver.state.Operations {
		named := azkeys.KeyOperation(op)
		out.KeyOps = append(out.KeyOps, &named)
	}
	switch pub := ver.signer.Public().(type) {
	case *ecdsa.PublicKey:
		if point, err := pub.Bytes(); err == nil && ver.crv != "" {
			half := (len(point) - 1) / 2
			out.Crv, out.X, out.Y = &ver.crv, point[1:1+half], point[1+half:]
		}
	case *rsa.PublicKey:
		out.N, out.E = pub.N.Bytes(), big.NewInt(int64(pub.E)).Bytes()
	}
	return out
}

var curveOf = map[azkeys.SignatureAlgorithm]azkeys.CurveName{
	azkeys.SignatureAlgorithmES256: azkeys.CurveNameP256,
	azkeys.SignatureAlgorithmES384: azkeys.CurveNameP384,
	azkeys.SignatureAlgorithmES512: azkeys.CurveNameP521,
}

var digestSize = map[azkeys.SignatureAlgorithm]int{
	azkeys.SignatureAlgorithmES256: 32, azkeys.SignatureAlgorithmES384: 48,
	azkeys.SignatureAlgorithmES512: 64, azkeys.SignatureAlgorithmRS256: 32,
}

var errIncompatible = errors.New("key and signing algorithm are incompatible")

// can checks the algorithm and the digest, as the service does before it signs.
func (ver *version) can(alg azkeys.SignatureAlgorithm, digest []byte) error {
	if _, ec := ver.signer.(*ecdsa.PrivateKey); digestSize[alg] == 0 || ec && curveOf[alg] != ver.crv || !ec && alg != azkeys.SignatureAlgorithmRS256 {
		return errIncompatible
	}
	if len(digest) != digestSize[alg] {
		return errors.New("invalid length of the value for the signature algorithm")
	}
	return nil
}

// sign returns r and s as wide as the curve (RFC 7518 section 3.4), or PKCS #1
// v1.5.
func (ver *version) sign(alg azkeys.SignatureAlgorithm, digest []byte) ([]byte, error) {
	if err := ver.can(alg, digest); err != nil {
		return nil, err
	}
	switch key := ver.signer.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest)
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			return nil, err
		}
		size := (key.Curve.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out, nil
	}
	return nil, errIncompatible
}
