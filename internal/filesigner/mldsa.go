package filesigner

import (
	"bytes"
	"crypto/sha3"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"filippo.io/mldsa"
)

// mldsaSet is a parameter set of ML-DSA.
type mldsaSet struct {
	oid      asn1.ObjectIdentifier // RFC 9881 section 2
	params   mldsa.Parameters
	k, l     byte // FIPS 204 table 1
	expanded int  // bytes of an expanded key, FIPS 204 table 2
}

func mldsaSets() []mldsaSet {
	return []mldsaSet{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}, mldsa.MLDSA44(), 4, 4, 2560},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}, mldsa.MLDSA65(), 6, 5, 4032},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}, mldsa.MLDSA87(), 8, 7, 4896},
	}
}

// mldsaError says what is wrong with the file of an ML-DSA key.
type mldsaError struct{ what, next string }

func (e *mldsaError) Error() string { return e.what }

const seedOnly = "convert it with OpenSSL 3.5 or later: openssl pkey -in FILE -provparam ml-dsa.output_formats=seed-only -out key.pem"

// oneKey is PKCS#8 (RFC 5958 section 2) without its optional attributes.
type oneKey struct {
	Version int
	Algo    pkix.AlgorithmIdentifier
	Key     []byte
}

// bothForms is the form "both" of RFC 9881 section 6.
type bothForms struct{ Seed, Expanded []byte }

// parsePKCS8 is x509.ParsePKCS8PrivateKey with the ML-DSA keys, which Go 1.26
// does not read.
func parsePKCS8(der []byte) (any, error) {
	var p oneKey
	rest, err := asn1.Unmarshal(der, &p)
	for _, set := range mldsaSets() {
		if err == nil && p.Algo.Algorithm.Equal(set.oid) {
			return set.parse(p, rest)
		}
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// parse reads the key in p: a seed, or a seed with the expanded key that
// OpenSSL writes beside it. An expanded key alone cannot be checked against its
// public key here, so it is not used; RFC 9881 section 6 recommends the seed.
func (set mldsaSet) parse(p oneKey, rest []byte) (*mldsa.PrivateKey, error) {
	damaged := &mldsaError{"that is damaged", "make the key again, or give the file as it was made"}
	if len(rest) > 0 || len(p.Algo.Parameters.FullBytes) > 0 || len(p.Key) < 2 {
		return nil, damaged
	}
	switch p.Key[0] {
	case 0x80: // seed [0] OCTET STRING (SIZE (32))
		if p.Key[1] != mldsa.PrivateKeySize || len(p.Key) != 2+mldsa.PrivateKeySize {
			return nil, damaged
		}
		return mldsa.NewPrivateKey(set.params, p.Key[2:])
	case 0x04: // expandedKey OCTET STRING
		return nil, &mldsaError{"in its expanded form without the seed, which is not supported", "give the seed; if it was not kept, make a new key"}
	case 0x30: // both SEQUENCE
		return set.parseBoth(p.Key)
	}
	return nil, damaged
}

// parseBoth returns the key of the seed, after the expanded key beside it has
// been found to be of the same key (RFC 9881 section 6). What is compared are the
// members ρ, K and tr (FIPS 204 algorithm 24): tr is the hash of the public key.
// The others are never used.
func (set mldsaSet) parseBoth(der []byte) (*mldsa.PrivateKey, error) {
	var both bothForms
	rest, err := asn1.Unmarshal(der, &both)
	if err != nil || len(rest) > 0 || len(both.Seed) != mldsa.PrivateKeySize || len(both.Expanded) != set.expanded {
		return nil, &mldsaError{"that is damaged", seedOnly}
	}
	key, err := mldsa.NewPrivateKey(set.params, both.Seed)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(set.head(key), both.Expanded[:128]) != 1 {
		return nil, &mldsaError{"whose seed and expanded form belong to different keys", "do not use this file: find out where it comes from, and make a new key"}
	}
	return key, nil
}

// head returns the first members of the expanded key: ρ and K, which are bytes
// 0 to 31 and 96 to 127 of SHAKE256(ξ || k || l) (FIPS 204 algorithm 6), and
// tr.
func (set mldsaSet) head(key *mldsa.PrivateKey) []byte {
	h := sha3.SumSHAKE256(append(key.Bytes(), set.k, set.l), 128)
	return bytes.Join([][]byte{h[:32], h[96:], sha3.SumSHAKE256(key.PublicKey().Bytes(), 64)}, nil)
}
