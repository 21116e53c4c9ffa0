package gate_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

func newMLDSA(t testing.TB, params mldsa.Parameters, name string) signerKey {
	seed := sha256.Sum256([]byte(name))
	private, err := mldsa.NewPrivateKey(params, seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, name, private)
}

// TestHybrid: a P-256 and an ML-DSA key sign one image, and the gate asks for
// both: as two groups, or as a threshold of two. One alone is refused, however
// often and in whatever format it has signed.
func TestHybrid(t *testing.T) {
	s := subject("1.4")
	a, other := newKey(t, "a"), newKey(t, "other")
	for _, params := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		q, stranger := newMLDSA(t, params, "q"), newMLDSA(t, params, "stranger")
		both := func(k signerKey) []envelope.Candidate {
			return []envelope.Candidate{k.bundle(t, s, k.claims(s), nil), k.simple(t, s, "1.4", k.claims(s))}
		}
		posing := q.claims(s)
		posing.Key.Fingerprint = a.Fingerprint
		for _, p := range []policy.Rule{
			{Require: []policy.Group{require(1, a).Require[0], require(1, q).Require[0]}},
			require(2, a, q),
		} {
			for _, tc := range []struct {
				name    string
				from    source
				outcome fault.Outcome
			}{
				{"both, in both formats", of(slices.Concat(both(a), both(q))...), fault.Passed},
				{"both, the other way round", of(slices.Concat(both(q), both(a))...), fault.Passed},
				{"one in each format", of(both(a)[0], both(q)[1]), fault.Passed},
				{"P-256 alone", of(both(a)...), fault.Refused},
				{"ML-DSA alone", of(both(q)...), fault.Refused},
				{"ML-DSA of a stranger", of(slices.Concat(both(a), both(stranger))...), fault.Refused},
				{"P-256 of another", of(slices.Concat(both(other), both(q))...), fault.Refused},
				{"P-256 and a broken ML-DSA", of(slices.Concat(both(a), broken(both(q)))...), fault.Refused},
				{"ML-DSA and a broken P-256", of(slices.Concat(broken(both(a)), both(q))...), fault.Refused},
				{"P-256 and another image's ML-DSA", of(both(a)[0], q.bundle(t, elsewhere(s), q.claims(elsewhere(s)), nil)), fault.Refused},
				{"ML-DSA that claims to be P-256", of(both(a)[0], q.bundle(t, s, posing, nil)), fault.Refused},
			} {
				if v := check(t, s, p, tc.from); v.Outcome() != tc.outcome {
					t.Errorf("%s, %d groups, %s: %v, %+v", params, len(p.Require), tc.name, v.Outcome(), v.Findings)
				}
			}
		}
	}
}

func elsewhere(s image.Subject) image.Subject {
	s.Digest = image.DigestOf([]byte("another image"))
	return s
}

// broken changes what was signed, or the signature.
func broken(candidates []envelope.Candidate) []envelope.Candidate {
	for i, c := range candidates {
		if c.Format == envelope.SimpleSigning {
			candidates[i].Blob = append(slices.Clone(c.Blob), ' ')
		} else {
			candidates[i].Blob = bytes.Replace(c.Blob, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1)
		}
	}
	return candidates
}
