//go:build linux && cgo

package pkcs11signer

import (
	"crypto"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

const (
	private = pkcs11.CKO_PRIVATE_KEY
	public  = pkcs11.CKO_PUBLIC_KEY
)

// ulong is a CK_ULONG as an attribute has it.
func ulong(values ...uint64) (s string) {
	for _, v := range values {
		s += string(binary.NativeEndian.AppendUint64(nil, v))
	}
	return s
}

// The point of a public key is wrapped in DER or, from older modules, bare.
func TestRawECPoint(t *testing.T) {
	m := faultModule(t)
	m.Unwrap(public, pkcs11.CKA_EC_POINT)
	for label, alg := range map[string]signer.Algorithm{
		"p256": signer.ECDSASHA256, "p384": signer.ECDSASHA384, "p521": signer.ECDSASHA512, "ed25519": signer.Ed25519,
	} {
		uri := "pkcs11:token=lab;object=" + label
		k := openWith(t, uri, with(m))
		if !equal(k.Public(), open(t, uri).Public()) {
			t.Errorf("the bare point of %s is another key", label)
		}
		g, err := signer.Guard(k, retry.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Sign(t.Context(), alg, []byte("message")); err != nil {
			t.Error(err)
		}
	}
}

func equal(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// What the public object says is checked before it is used. The token burnt has
// one key.
func TestBadPublicObject(t *testing.T) {
	for _, c := range []struct {
		attribute uint
		value     string
		outcome   fault.Outcome
		code      string
	}{
		{pkcs11.CKA_EC_POINT, "\x04\x02ab", fault.Undecided, "pkcs11_device"},
		{pkcs11.CKA_EC_POINT, "\x04\x41\x04" + strings.Repeat("x", 64), fault.Undecided, "pkcs11_device"},
		{pkcs11.CKA_EC_POINT, strings.Repeat("\x00", 65), fault.Undecided, "pkcs11_device"},
		{pkcs11.CKA_EC_POINT, "", fault.Config, "pkcs11_public_missing"},
		{pkcs11.CKA_EC_PARAMS, "\x06\x05\x2b\x81\x04\x00\x0a", fault.Config, "key_type_unsupported"}, // secp256k1
		{pkcs11.CKA_EC_PARAMS, "garbage", fault.Config, "key_type_unsupported"},
	} {
		m := faultModule(t)
		m.Replace(public, c.attribute, c.value)
		refuse(t, "pkcs11:token=burnt", with(m), c.outcome, c.code)
	}
}

func TestBadKeyType(t *testing.T) {
	m := faultModule(t)
	m.Replace(private, pkcs11.CKA_KEY_TYPE, "abc")
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "attribute 0x100 with 3 bytes, not as a number")
	m.Replace(private, pkcs11.CKA_KEY_TYPE, ulong(0x80000001))
	refuse(t, anyKey, with(m), fault.Config, "key_type_unsupported", "0x80000001")
	m.Withhold(private, pkcs11.CKA_KEY_TYPE, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device")
}

// Neither a public key object nor a certificate: RSA keys tell themselves, for
// EC keys the options may.
func TestNoPublicObject(t *testing.T) {
	m := faultModule(t)
	m.Hide(public)
	m.Hide(pkcs11.CKO_CERTIFICATE)
	refuse(t, anyKey, with(m), fault.Config, "pkcs11_public_missing", "pkcs11-public-key")
	g, err := signer.Guard(openWith(t, "pkcs11:token=lab;object=rsa3072", with(m)), retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Sign(t.Context(), signer.RSAPKCS1SHA256, nil); err != nil {
		t.Error(err)
	}

	right, wrong, rsa := open(t, anyKey).Public(), open(t, "pkcs11:token=lab;object=relabelled").Public(), g.Public()
	opts := with(m)
	opts.PublicKeys = []crypto.PublicKey{rsa, right}
	works(t, openWith(t, anyKey, opts))
	opts.PublicKeys = []crypto.PublicKey{rsa}
	refuse(t, anyKey, opts, fault.Config, "pkcs11_public_missing")
	opts.PublicKeys = []crypto.PublicKey{right, wrong}
	refuse(t, anyKey, opts, fault.Config, "pkcs11_key_ambiguous", "pkcs11-public-key")
	opts.PublicKeys = []crypto.PublicKey{wrong}
	refuse(t, anyKey, opts, fault.Refused, "bad_signature", "the public key from pkcs11-public-key is not that of the private key")
}

// Without ids the halves are paired by their label, and the key is named and
// found again by it.
func TestEmptyID(t *testing.T) {
	m := faultModule(t)
	m.Replace(private, pkcs11.CKA_ID, "")
	m.Replace(public, pkcs11.CKA_ID, "")
	k := openWith(t, anyKey, with(m))
	if plain := open(t, anyKey); !equal(k.Public(), plain.Public()) || !strings.HasSuffix(k.ID(), ";object=p256") {
		t.Errorf("the key without an id is %s", k.ID())
	}
	m.Die()
	works(t, k)
	works(t, openWith(t, k.ID(), with(m)))
	refuse(t, "pkcs11:token=lab;object=double", with(m), fault.Config, "pkcs11_key_ambiguous")
}

// Labels padded with spaces or NULs are the labels without.
func TestPaddedLabel(t *testing.T) {
	for _, padding := range []string{"\x00", "  ", "\x00\x00 \x00", strings.Repeat(" ", 29)} {
		m := faultModule(t)
		m.Replace(private, pkcs11.CKA_LABEL, "key"+padding)
		m.Replace(public, pkcs11.CKA_LABEL, "key"+padding)
		k := openWith(t, "pkcs11:token=burnt;object=key", with(m))
		works(t, k)
		m.Replace(private, pkcs11.CKA_ID, "")
		m.Replace(public, pkcs11.CKA_ID, "")
		k = openWith(t, "pkcs11:token=burnt;object=key", with(m))
		if !strings.HasSuffix(k.ID(), ";object=key") {
			t.Errorf("the label with padding is %s", k.ID())
		}
		m.Die()
		works(t, k)
	}
}

// A key that may not be used with the mechanism is not tried.
func TestAllowedMechanisms(t *testing.T) {
	m := faultModule(t)
	m.Replace(private, pkcs11.CKA_ALLOWED_MECHANISMS, ulong(pkcs11.CKM_ECDSA_SHA256, pkcs11.CKM_ECDSA_SHA384))
	k := openWith(t, anyKey, with(m))
	check(t, verified(t.Context(), k), fault.Config, "pkcs11_key_unusable", "allows only the mechanisms 0x1044, 0x1045", "needs CKM_ECDSA")
	if n := m.Calls[fm.SignInit].Count.Load(); n != 0 {
		t.Errorf("C_SignInit was called %d times", n)
	}
	for _, value := range []string{"", ulong(pkcs11.CKM_ECDSA_SHA256, pkcs11.CKM_ECDSA)} {
		m.Replace(private, pkcs11.CKA_ALLOWED_MECHANISMS, value)
		works(t, openWith(t, anyKey, with(m)))
	}
	m.Calls[fm.SignInit].Fail(pkcs11.CKR_MECHANISM_INVALID, 1)
	check(t, verified(t.Context(), openWith(t, anyKey, with(m))), fault.Config, "algorithm_unsupported")
	m.Calls[fm.SignInit].Fail(pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, 1)
	check(t, verified(t.Context(), openWith(t, anyKey, with(m))), fault.Config, "pkcs11_key_unusable", "CKA_SIGN")
}
