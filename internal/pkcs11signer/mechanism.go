//go:build linux && cgo

package pkcs11signer

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// mechanismEdDSA is CKM_EDDSA of PKCS#11 3.0, which the binding does not have.
const mechanismEdDSA = 0x1057

// sha256Info is the DER of a DigestInfo for SHA-256 up to the digest (RFC 8017
// section 9.2, note 1).
const sha256Info = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// request returns the mechanism and its input for a signature. Only the
// mechanisms that nearly every module has are used, and they do not hash, so
// everything that defines the signature is made here.
func request(alg signer.Algorithm, pub crypto.PublicKey, message []byte) (*pkcs11.Mechanism, []byte) {
	digest := alg.Digest(message)
	switch alg {
	case signer.Ed25519:
		return pkcs11.NewMechanism(mechanismEdDSA, nil), message
	case signer.RSAPSSSHA256:
		params := pkcs11.NewPSSParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, uint(len(digest)))
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest
	case signer.RSAPKCS1SHA256:
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), append([]byte(sha256Info), digest...)
	}
	if k, ok := pub.(*ecdsa.PublicKey); ok {
		// FIPS 186-5 section 6.4.1 takes the leftmost bits; not every
		// module accepts more than that.
		digest = digest[:min(len(digest), (k.Params().N.BitLen()+7)/8)]
	}
	return pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest
}

// encode turns the token's answer into the encoding of the algorithm.
func encode(pub crypto.PublicKey, raw []byte) ([]byte, error) {
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return raw, nil
	}
	half := len(raw) / 2
	if len(raw) == 0 || len(raw)%2 != 0 || half > (k.Params().N.BitLen()+7)/8 {
		return nil, fault.Undecidedf("pkcs11_device", "look for an update of the module",
			"the token returned an ECDSA signature of %d bytes for a %s key", len(raw), signer.KeyType(pub))
	}
	return derSignature(raw[:half], raw[half:]), nil
}

// derSignature returns the DER of an ECDSA signature (RFC 3279 section 2.2.3).
// It is written by hand, because every signature goes through here.
func derSignature(r, s []byte) []byte {
	body := appendInteger(appendInteger(make([]byte, 0, 2*(len(r)+3)), r), s)
	if len(body) < 0x80 {
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	return append([]byte{0x30, 0x81, byte(len(body))}, body...) // P-521 has at most 139 bytes
}

// appendInteger appends an unsigned number as an INTEGER, whose first bit would
// be its sign.
func appendInteger(to, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	if n[0] >= 0x80 {
		to = append(to, 2, byte(len(n)+1), 0)
	} else {
		to = append(to, 2, byte(len(n)))
	}
	return append(to, n...)
}

// mechanismName returns the name of a mechanism that signgate uses, or the
// number of another.
func mechanismName(m uint) string {
	switch m {
	case pkcs11.CKM_ECDSA:
		return "CKM_ECDSA"
	case pkcs11.CKM_RSA_PKCS:
		return "CKM_RSA_PKCS"
	case pkcs11.CKM_RSA_PKCS_PSS:
		return "CKM_RSA_PKCS_PSS"
	case mechanismEdDSA:
		return "CKM_EDDSA"
	}
	return fmt.Sprintf("0x%X", m)
}

// notAllowed is the fault of a key whose CKA_ALLOWED_MECHANISMS lacks the one
// that the signature needs.
func notAllowed(key string, mechanism uint, allowed []uint) error {
	var names []string
	for _, m := range allowed {
		names = append(names, mechanismName(m))
	}
	return fault.Configf("pkcs11_key_unusable", "use a key that may sign a digest with that mechanism, or make one with signgate key generate",
		"the key %s allows only the mechanisms %s, and the signature needs %s", key, strings.Join(names, ", "), mechanismName(mechanism))
}
