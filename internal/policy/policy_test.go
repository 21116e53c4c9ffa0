package policy_test

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

const p256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2HySZq5OScPzUjQCT4iuSwHdx/kd
PZMmzINfwT66aqSG+VywgQ1Eoe4NEABCOV76p8rW0DjimGjwoQhHRXEOqg==
-----END PUBLIC KEY-----
`

func goodKey(t testing.TB) string {
	if _, err := policy.ParseKeys("x", []byte(p256)); err != nil {
		t.Fatal(err)
	}
	return p256
}

func TestParseKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		keys int // 0 for a refusal
	}{
		"one":              {goodKey(t), 1},
		"two":              {goodKey(t) + "\n" + goodKey(t), 2},
		"Windows lines":    {strings.ReplaceAll(goodKey(t), "\n", "\r\n"), 1},
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
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := policy.ParseKeys("x", text)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and the error %v", len(keys), err)
		}
	})
}
