package awskms_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"fmt"
	"math/big"
	"testing"

	"github.com/signgate/signgate/internal/signer"
)

// DER integers of r and s are now and then a byte or two shorter. Of 10,000
// signatures of each curve, in the encoding of AWS KMS, our check takes all of
// P-256, and of the curves that are slow to verify all of a rare width and every
// hundredth of the others.
func TestWidths(t *testing.T) {
	for alg, curve := range map[signer.Algorithm]elliptic.Curve{
		signer.ECDSASHA256: elliptic.P256(), signer.ECDSASHA384: elliptic.P384(), signer.ECDSASHA512: elliptic.P521(),
	} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			t.Parallel()
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			widths := map[int]int{}
			for range 100 {
				for message, sig := range hundred(t, key, alg) {
					widths[len(sig)]++
					if n := widths[len(sig)]; alg != signer.ECDSASHA256 && n > 20 && n%100 != 0 {
						continue
					}
					if err := alg.Verify(key.Public(), []byte(message), sig); err != nil {
						t.Fatalf("%x: %v", sig, err)
					}
				}
			}
			if len(widths) < 3 { // a fourth one is a matter of luck for P-521
				t.Errorf("the signatures have the widths %v: too few kinds to prove anything", widths)
			}
		})
	}
}

// hundred returns a hundred signatures by their messages. The first is made as
// always; it and the private key d give its nonce k = (e + r·d)/s, and with that
// the others cost no arithmetic on the curve: s = (e + r·d)/k. Nobody but a test
// may use a nonce twice.
func hundred(t *testing.T, key *ecdsa.PrivateKey, alg signer.Algorithm) map[string][]byte {
	t.Helper()
	first, err := ecdsa.SignASN1(rand.Reader, key, alg.Digest([]byte("0")))
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(first, &rs); err != nil {
		t.Fatal(err)
	}
	n := key.Params().N
	secret, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rd := new(big.Int).Mul(rs.R, new(big.Int).SetBytes(secret))
	sum := func(message string) *big.Int {
		return new(big.Int).Add(rd, new(big.Int).SetBytes(alg.Digest([]byte(message)))) // no hash here is longer than n
	}
	inverse := new(big.Int).ModInverse(sum("0"), n)
	inverse.Mul(inverse, rs.S) // 1/k
	out := map[string][]byte{"0": first}
	for i := 1; i < 100; i++ {
		message := fmt.Sprint(i)
		rs.S = new(big.Int).Mul(sum(message), inverse)
		if out[message], err = asn1.Marshal(struct{ R, S *big.Int }{rs.R, rs.S.Mod(rs.S, n)}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
