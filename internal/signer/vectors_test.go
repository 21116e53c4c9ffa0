package signer_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"

	"github.com/signgate/signgate/internal/signer"
)

// hexBytes are bytes that a vector writes in hexadecimal.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vectors are of the Wycheproof project (C2SP/wycheproof, schemas
// mldsa_verify_schema.json and mldsa_sign_seed_schema.json).
type vectors struct {
	TestGroups []struct {
		PublicKey   hexBytes
		PrivateSeed hexBytes
		Tests       []vector
	}
}

type vector struct {
	TcID     int
	Comment  string
	Msg, Sig hexBytes
	Ctx      hexBytes
	Result   string
}

// wycheproof reads a file of vectors, which CIRCL's module carries.
func wycheproof(t *testing.T, name string) (v vectors) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudflare/circl").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "sign/schemes/testdata/wycheproof", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(r).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWycheproofVerify: valid signatures verify and no others do. A signature
// with a context is no signature of ours.
func TestWycheproofVerify(t *testing.T) {
	for i, name := range []string{"mldsa_44_verify_test.json.gz", "mldsa_65_verify_test.json.gz", "mldsa_87_verify_test.json.gz"} {
		set, valid, invalid := mldsaSets()[i], 0, 0
		for _, group := range wycheproof(t, name).TestGroups {
			der := tlv(0x30, tlv(0x30, []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, byte(17 + i)}), tlv(3, []byte{0}, group.PublicKey))
			pub, badKey := signer.ParsePublicKey(der)
			for _, v := range group.Tests {
				ok := badKey == nil && set.alg.Verify(pub, v.Msg, v.Sig) == nil
				if want := v.Result == "valid" && len(v.Ctx) == 0; ok != want {
					t.Errorf("%s %d (%s): verified %v (%v), want %v", set.typ, v.TcID, v.Comment, ok, badKey, want)
				} else if ok {
					valid++
				} else {
					invalid++
				}
			}
		}
		if valid < 50 || invalid < 15 {
			t.Errorf("%s: only %d valid and %d invalid vectors", set.typ, valid, invalid)
		}
	}
}

// TestWycheproofMu: the deterministic signature of a key over our μ is that of
// the vector over the message, so our μ is the μ of FIPS 204.
func TestWycheproofMu(t *testing.T) {
	for i, name := range []string{"mldsa_44_sign_seed_test.json.gz", "mldsa_65_seed_sign_test.json.gz", "mldsa_87_sign_seed_test.json.gz"} {
		set, n := mldsaSets()[i], 0
		for _, group := range wycheproof(t, name).TestGroups {
			key, err := mldsa.NewPrivateKey(set.params, group.PrivateSeed)
			if err != nil {
				continue // a vector about a seed of the wrong length
			}
			for _, v := range group.Tests {
				if v.Result != "valid" || len(v.Ctx) > 0 {
					continue
				}
				n++
				mu, err := signer.ExternalMu(key.Public(), v.Msg)
				if err != nil {
					t.Fatal(err)
				}
				sig, err := key.SignDeterministic(mu, mldsacrypto.MLDSAMu)
				if err != nil || !bytes.Equal(sig, v.Sig) {
					t.Errorf("%s %d (%s): another signature, %v", set.typ, v.TcID, v.Comment, err)
				}
			}
		}
		if n < 20 {
			t.Errorf("%s: only %d vectors", set.typ, n)
		}
	}
}
