package gate_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

// BenchmarkRatio measures a decision beside the signature checks that it cannot
// do without, both in one run: one for each key that has to have signed.
func BenchmarkRatio(b *testing.B) {
	s := subject("1.4")
	var keys []signerKey
	for i := range 6 {
		keys = append(keys, newKey(b, fmt.Sprint("bench ", i)))
	}
	for _, tc := range []struct {
		name string
		rule policy.Rule
		by   []signerKey
	}{
		{"one of one", require(1, keys[0]), keys[:1]},
		{"the last of six", require(1, keys...), keys[5:]},
		{"two groups of three", policy.Rule{Require: append(require(1, keys[:3]...).Require, require(1, keys[3:]...).Require...)}, []signerKey{keys[2], keys[5]}},
		{"six of six", require(6, keys...), keys},
	} {
		for _, format := range envelope.Formats() {
			b.Run(tc.name+"/"+string(format), func(b *testing.B) {
				var from []envelope.Candidate
				for _, k := range tc.by {
					if format == envelope.Bundle {
						from = append(from, k.bundle(b, s, k.claims(s), nil))
					} else {
						c := k.simple(b, s, "1.4", k.claims(s))
						c.Hint = k.Fingerprint // as the registry has it in an annotation
						from = append(from, c)
					}
				}
				ratio(b, tc.by, from, func() {
					if v := check(b, s, tc.rule, of(from...)); v.Outcome() != fault.Passed {
						b.Fatal(v.Findings)
					}
				})
			})
		}
	}
}

func ratio(b *testing.B, by []signerKey, from []envelope.Candidate, decide func()) {
	bare := checks(b, by, from)
	var whole, alone time.Duration
	for b.Loop() {
		began := time.Now()
		decide()
		middle := time.Now()
		bare()
		whole, alone = whole+middle.Sub(began), alone+time.Since(middle)
	}
	b.ReportMetric(float64(whole)/float64(alone), "x-the-checks")
	b.ReportMetric(float64(whole.Microseconds())/float64(b.N), "µs-decision")
}

// checks returns what does the signature checks alone.
func checks(b *testing.B, by []signerKey, from []envelope.Candidate) func() {
	type one struct {
		pub      *ecdsa.PublicKey
		sum, sig []byte
	}
	var all []one
	for i, c := range from {
		message, sig := c.Blob, []byte(nil)
		if c.Format == envelope.Bundle {
			statement, err := bundle.Unverified(c)
			if err != nil {
				b.Fatal(err)
			}
			message = dsse.ToSign(statement)
			sig = by[i].sign(b, message)
		} else if sig, _ = base64.StdEncoding.DecodeString(c.Signature); sig == nil {
			b.Fatal("no signature")
		}
		sum := sha256.Sum256(message)
		all = append(all, one{by[i].Public.(*ecdsa.PublicKey), sum[:], sig})
	}
	return func() {
		for _, o := range all {
			if !ecdsa.VerifyASN1(o.pub, o.sum, o.sig) {
				b.Fatal("it does not verify")
			}
		}
	}
}
