package filesigner_test

import (
	"bytes"
	"testing"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/signgate/signgate/internal/filesigner"
	"github.com/signgate/signgate/internal/signer"
)

// mldsaSet makes key files of one parameter set with CIRCL.
type mldsaSet struct {
	oid   byte // the last member of 2.16.840.1.101.3.4.3.x
	alg   signer.Algorithm
	circl sign.Scheme
}

func mldsaSets() []mldsaSet {
	return []mldsaSet{{17, signer.MLDSA44, mldsa44.Scheme()}, {18, signer.MLDSA65, mldsa65.Scheme()}, {19, signer.MLDSA87, mldsa87.Scheme()}}
}

// tlv is a DER element.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	head := []byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}
	if len(body) < 128 {
		head = []byte{tag, byte(len(body))}
	}
	return append(head, body...)
}

func secret(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func (set mldsaSet) expand(seed []byte) []byte {
	_, private := set.circl.DeriveKey(seed)
	return must(private.MarshalBinary())
}

// The three forms of RFC 9881 section 6.
func (set mldsaSet) seed() []byte     { return tlv(0x80, secret(1)) }
func (set mldsaSet) expanded() []byte { return tlv(4, set.expand(secret(1))) }
func (set mldsaSet) both() []byte     { return tlv(0x30, tlv(4, secret(1)), set.expanded()) }

func (set mldsaSet) der(key []byte, parameters ...byte) []byte {
	oid := []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, set.oid}
	return tlv(0x30, []byte{2, 1, 0}, tlv(0x30, oid, parameters), tlv(4, key))
}

func (set mldsaSet) pem(key []byte) []byte { return block("PRIVATE KEY", set.der(key)) }

// TestMLDSAForms: the seed alone and the seed with the expanded key are one
// key, whose signatures CIRCL verifies.
func TestMLDSAForms(t *testing.T) {
	for _, set := range mldsaSets() {
		public, _ := set.circl.DeriveKey(secret(1))
		ids := map[string]bool{}
		for _, form := range [][]byte{set.seed(), set.both()} {
			key, err := filesigner.Open(t.Context(), "env://KEY", env("KEY", string(set.pem(form))))
			if err != nil {
				t.Fatalf("%s: %v", set.alg, err)
			}
			ids[key.ID()] = true
			sig, err := key.Sign(t.Context(), set.alg, []byte("message"))
			if err != nil || !set.circl.Verify(public, []byte("message"), sig.Bytes, nil) {
				t.Errorf("%s: CIRCL refuses the signature, %v", set.alg, err)
			}
		}
		if len(ids) != 1 {
			t.Errorf("%s: one key has the identities %v", set.alg, ids)
		}
	}
}

// TestMLDSAFaults: what cannot be used, and what the message says.
func TestMLDSAFaults(t *testing.T) {
	for i, set := range mldsaSets() {
		other := mldsaSets()[(i+1)%3]
		flipped := func(at int) []byte {
			expanded := set.expand(secret(1))
			expanded[at] ^= 1
			return tlv(0x30, tlv(4, secret(1)), tlv(4, expanded))
		}
		for name, c := range map[string]struct {
			der        []byte
			code, says string
		}{
			"expanded only":     {set.der(set.expanded()), "key_file_invalid", "without the seed"},
			"another seed":      {set.der(tlv(0x30, tlv(4, secret(2)), set.expanded())), "key_file_invalid", "different keys"},
			"another ρ":         {set.der(flipped(0)), "key_file_invalid", "different keys"},
			"another K":         {set.der(flipped(63)), "key_file_invalid", "different keys"},
			"another tr":        {set.der(flipped(127)), "key_file_invalid", "different keys"},
			"of another set":    {set.der(other.both()), "key_file_invalid", "damaged"},
			"a half":            {set.der(tlv(0x30, tlv(4, secret(1)))), "key_file_invalid", "damaged"},
			"a short seed":      {set.der(tlv(0x80, secret(1)[:31])), "key_file_invalid", "damaged"},
			"a long seed":       {set.der(tlv(0x80, append(secret(1), 0))), "key_file_invalid", "damaged"},
			"a seed and more":   {set.der(append(set.seed(), 0)), "key_file_invalid", "damaged"},
			"a bare seed":       {set.der(secret(1)), "key_file_invalid", "damaged"},
			"no key":            {set.der(nil), "key_file_invalid", "damaged"},
			"parameters":        {set.der(set.seed(), 5, 0), "key_file_invalid", "damaged"},
			"HashML-DSA":        {mldsaSet{oid: set.oid + 15}.der(set.seed()), "key_type_unsupported", "ML-DSA"},
			"trailing bytes":    {append(set.der(set.seed()), 0), "key_file_invalid", "damaged"},
			"the wrong version": {append([]byte{0x30, 0x34, 0x04}, set.der(set.seed())[3:]...), "key_file_invalid", "damaged"},
		} {
			t.Run(string(set.alg)+" "+name, func(t *testing.T) {
				_, err := filesigner.Open(t.Context(), "env://KEY", env("KEY", string(block("PRIVATE KEY", c.der))))
				wantFault(t, err, c.code, c.says)
			})
		}
	}
}
