package policy_test

import (
	"encoding/pem"
	"strings"
	"testing"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

const p256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2HySZq5OScPzUjQCT4iuSwHdx/kd
PZMmzINfwT66aqSG+VywgQ1Eoe4NEABCOV76p8rW0DjimGjwoQhHRXEOqg==
-----END PUBLIC KEY-----
`

// mldsaKey returns the public key of a fixed seed in PEM.
func mldsaKey(t testing.TB, params mldsa.Parameters) string {
	key, err := mldsa.NewPrivateKey(params, make([]byte, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	der, err := signer.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func goodKey(t testing.TB) string {
	if _, err := policy.ParseKeys("x", []byte(p256)); err != nil {
		t.Fatal(err)
	}
	return p256
}

func TestParseKeys(t *testing.T) {
	ml44, ml65, ml87 := mldsaKey(t, mldsa.MLDSA44()), mldsaKey(t, mldsa.MLDSA65()), mldsaKey(t, mldsa.MLDSA87())
	for name, tc := range map[string]struct {
		text string
		keys int // 0 for a refusal
	}{
		"one":              {goodKey(t), 1},
		"two":              {goodKey(t) + "\n" + goodKey(t), 2},
		"Windows lines":    {strings.ReplaceAll(goodKey(t), "\n", "\r\n"), 1},
		"ML-DSA-44":        {ml44, 1},
		"ML-DSA-65":        {ml65, 1},
		"ML-DSA-87":        {ml87, 1},
		"P-256 and ML-DSA": {goodKey(t) + ml65, 2},
		"half of ML-DSA":   {ml65[:1000], 0},
		"ML-DSA, cut":      {ml65[:1000] + ml65[1065:], 0},
		"ML-DSA as RSA":    {strings.ReplaceAll(ml65, "PUBLIC", "RSA PUBLIC"), 0},
		"nothing":          {"", 0},
		"text":             {"hello", 0},
		"text before":      {"hello\n" + goodKey(t), 0},
		"text between":     {goodKey(t) + "hello\n" + goodKey(t), 0},
		"text after":       {goodKey(t) + "hello", 0},
		"half a block":     {goodKey(t)[:90], 0},
		"a private key":    {strings.ReplaceAll(goodKey(t), "PUBLIC", "PRIVATE"), 0},
		"a certificate":    {strings.ReplaceAll(goodKey(t), "PUBLIC KEY", "CERTIFICATE"), 0},
		"a damaged block":  {goodKey(t)[:90] + "\n" + goodKey(t), 0},
		"an empty block":   {"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", 0},
		"a good and a bad": {goodKey(t) + strings.ReplaceAll(goodKey(t), "PUBLIC", "PRIVATE"), 0},
	} {
		keys, err := policy.ParseKeys("release.pub", []byte(tc.text))
		if len(keys) != tc.keys || (err == nil) != (tc.keys > 0) {
			t.Errorf("%s: %d keys, %v; want %d", name, len(keys), err, tc.keys)
		}
		if err != nil && (fault.CodeOf(err) != "trusted_key_invalid" || !strings.Contains(err.Error(), "release.pub")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(p256))
	f.Add([]byte(p256 + mldsaKey(f, mldsa.MLDSA44())))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := policy.ParseKeys("x", text)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and the error %v", len(keys), err)
		}
	})
}
