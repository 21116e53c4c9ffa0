//go:build linux && cgo

package pkcs11signer

import (
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// mechanismEdwardsGen is CKM_EC_EDWARDS_KEY_PAIR_GEN of PKCS#11 3.0, which the
// binding does not have.
const mechanismEdwardsGen = 0x1055

// recipe says how a token makes a pair.
type recipe struct {
	keyType         string // as signer.KeyType spells it
	mechanism       uint
	public, private []*pkcs11.Attribute
	wished          []*pkcs11.Attribute // of the private half, where the token takes them; tpm2-pkcs11 does not
}

// make makes the pair: with what is wished, or without.
func (r recipe) make(api *pkcs11.Ctx, s pkcs11.SessionHandle) (public, private pkcs11.ObjectHandle, err error) {
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(r.mechanism, nil)}
	public, private, err = api.GenerateKeyPair(s, mechanism, r.public, slices.Concat(r.private, r.wished))
	if err != nil && len(r.wished) > 0 && !gone(err) {
		public, private, err = api.GenerateKeyPair(s, mechanism, r.public, r.private)
	}
	return public, private, called("C_GenerateKeyPair", err)
}

// The parameters of the curves: object identifiers (RFC 5480), and the name of
// the Edwards curve (PKCS#11 3.0, section 2.3.10).
var curveParams = map[KeySpec]string{
	"p256":    "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
	"p384":    "\x06\x05\x2b\x81\x04\x00\x22",
	"p521":    "\x06\x05\x2b\x81\x04\x00\x23",
	"ed25519": "\x13\x0cedwards25519",
}

var rsaBits = map[KeySpec]uint{"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}

// newRecipe returns the recipe of a pair that can sign and nothing else, whose
// private half never leaves the token. The type is one of KeySpecs.
func newRecipe(spec KeySpec, id, label string) (r recipe) {
	both := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	r.public = append(r.public, append(both, pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))...)
	r.private = append(r.private, append(both, pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))...)
	if bits := rsaBits[spec]; bits != 0 {
		r.keyType, r.mechanism = "RSA-"+strings.TrimPrefix(string(spec), "rsa"), pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN
		r.public = append(r.public, pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
		r.wished = append(r.wished, pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, false))
		return r
	}
	r.keyType, r.mechanism = strings.Replace(string(spec), "p", "P-", 1), pkcs11.CKM_EC_KEY_PAIR_GEN
	if spec == "ed25519" {
		r.keyType, r.mechanism = "Ed25519", mechanismEdwardsGen
	}
	r.public = append(r.public, pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curveParams[spec]))
	return r
}
