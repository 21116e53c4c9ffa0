package gate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"iter"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func subject(tags ...string) image.Subject {
	return image.Subject{Repository: "ghcr.io/acme/app", Digest: "sha256:" + strings.Repeat("1", 64), MediaType: image.OCIManifest, Size: 7, Tags: tags}
}

// signerKey is a key of a test, with its private half.
type signerKey struct {
	envelope.Key
	private crypto.Signer
}

func newKey(t testing.TB, name string) signerKey {
	scalar := sha256.Sum256([]byte(name)) // the same key in every process of a fuzz run
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, name, private)
}

func keyOf(t testing.TB, name string, private crypto.Signer) signerKey {
	key, err := policy.KeyOf(name, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return signerKey{key, private}
}

func (k signerKey) sign(t testing.TB, message []byte) []byte {
	alg, err := signer.Usual(k.Public)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := k.private.Sign(rand.Reader, alg.Digest(message), alg.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func (k signerKey) claims(s image.Subject) envelope.Claims {
	return envelope.Claims{Version: 1, Repository: s.Repository, Tags: s.Tags, IssuedAt: now, Sequence: 1,
		Key: &envelope.KeyClaim{ID: k.Name, Fingerprint: k.Fingerprint}}
}

func (k signerKey) bundle(t testing.TB, s image.Subject, c envelope.Claims, annotations map[string]string) envelope.Candidate {
	statement, err := attest.Signature(s, c, annotations)
	if err != nil {
		t.Fatal(err)
	}
	return k.statement(t, statement)
}

func (k signerKey) statement(t testing.TB, statement []byte) envelope.Candidate {
	a, err := bundle.Seal(statement, k.sign(t, dsse.ToSign(statement)), envelope.SignaturePredicate, k.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Candidate{Format: envelope.Bundle, Store: "referrers", Manifest: "m", MediaType: a.MediaType, Blob: a.Blob}
}

func (k signerKey) simple(t testing.TB, s image.Subject, tag string, c envelope.Claims) envelope.Candidate {
	payload, err := simplesigning.Payload(s, tag, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k.payload(t, payload)
}

func (k signerKey) payload(t testing.TB, payload []byte) envelope.Candidate {
	a := simplesigning.Seal(payload, k.sign(t, payload), k.Fingerprint)
	return envelope.Candidate{Format: envelope.SimpleSigning, Store: "tag", Manifest: "m", MediaType: a.MediaType, Blob: a.Blob, Signature: a.Annotations[simplesigning.SignatureAnnotation]}
}

// source yields candidates, then errors.
type source struct {
	candidates []envelope.Candidate
	errs       []error
}

func (s source) Candidates(context.Context, image.Subject, envelope.Want) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		for _, err := range s.errs {
			if !yield(envelope.Candidate{}, err) {
				return
			}
		}
		for _, c := range s.candidates {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func require(min int, keys ...signerKey) policy.Rule {
	g := policy.Group{Name: "release", Min: min, Formats: envelope.Formats()}
	for _, k := range keys {
		g.Keys = append(g.Keys, k.Key)
	}
	return policy.Rule{Require: []policy.Group{g}}
}

func check(t testing.TB, s image.Subject, p policy.Rule, from source) gate.Verdict {
	v, err := gate.Check(context.Background(), gate.Request{Subject: s, Rule: p, Now: now}, from)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func of(c ...envelope.Candidate) source { return source{candidates: c} }

// TestAttacks is the catalogue: what is in the registry, and how the gate must
// decide.
func TestAttacks(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	s := subject("1.4")
	other := s
	other.Repository = "ghcr.io/acme/other"
	otherTag := subject("1.3")
	otherDigest := s
	otherDigest.Digest = "sha256:" + strings.Repeat("2", 64)
	expired := a.claims(s)
	expired.IssuedAt, expired.ExpiresAt = now.Add(-2*time.Hour), now.Add(-time.Hour)
	foreign := a.claims(s)
	foreign.Key = &envelope.KeyClaim{ID: "b", Fingerprint: b.Fingerprint}
	critical := a.claims(s)
	critical.Critical = []string{"threshold"}
	future := a.claims(s)
	future.Version = 2
	unknown := fault.Transientf("registry_unavailable", "", "429")

	tampered := a.bundle(t, s, a.claims(s), nil)
	tampered.Blob = []byte(strings.Replace(string(tampered.Blob), `"sig":"`, `"sig":"AAAA`, 1))
	malleated := a.simple(t, s, "1.4", a.claims(s))
	malleated.Signature = malleate(t, malleated.Signature)
	twice := a.bundle(t, s, a.claims(s), nil)
	twice.Blob = []byte(strings.Replace(string(twice.Blob), `"signatures":[{`, `"signatures":[{"sig":"AAAA"},{`, 1))
	none := a.bundle(t, s, a.claims(s), nil)
	none.Blob = []byte(`{"mediaType":"` + bundle.MediaType + `","dsseEnvelope":{"payload":"e30=","payloadType":"` + dsse.PayloadType + `","signatures":[]}}`)
	attestation := a.statement(t, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+s.Digest[7:]+`"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`))
	subjects := a.statement(t, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+s.Digest[7:]+`"}},{"digest":{"sha256":"`+s.Digest[7:]+`"}}],"predicateType":"`+envelope.SignaturePredicate+`","predicate":{}}`))
	dupe := a.payload(t, []byte(`{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app"},"image":{"docker-manifest-digest":"`+otherDigest.Digest+`","docker-manifest-digest":"`+s.Digest+`"},"type":"cosign container image signature"},"optional":null}`))
	typed := a.payload(t, []byte(`{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app"},"image":{"docker-manifest-digest":"`+s.Digest+`"},"type":"atomic container signature"},"optional":null}`))
	cased := a.payload(t, []byte(`{"Critical":{"Identity":{"Docker-reference":""},"Image":{"Docker-manifest-digest":"`+s.Digest+`"},"Type":"cosign container image signature"},"Optional":null}`))
	stock := a.payload(t, []byte(`{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app"},"image":{"docker-manifest-digest":"`+s.Digest+`"},"type":"cosign container image signature"},"optional":null}`))

	for _, tc := range []struct {
		name    string
		from    source
		policy  policy.Rule
		outcome fault.Outcome
		code    string
	}{
		{"a good bundle", of(a.bundle(t, s, a.claims(s), nil)), require(1, a), fault.Passed, "passed"},
		{"a good simple signature", of(a.simple(t, s, "1.4", a.claims(s))), require(1, a), fault.Passed, "passed"},
		{"cosign's, without claims", of(stock), require(1, a), fault.Passed, "passed"},
		{"any of two keys", of(b.simple(t, s, "1.4", b.claims(s))), require(1, a, b), fault.Passed, "passed"},
		{"nothing", of(), require(1, a), fault.Refused, "unsigned"},
		{"another key", of(b.bundle(t, s, b.claims(s), nil)), require(1, a), fault.Refused, "key_other"},
		{"a flipped signature", of(tampered), require(1, a), fault.Refused, "signature_invalid"},
		{"another image's signature", of(a.bundle(t, otherDigest, a.claims(otherDigest), nil)), require(1, a), fault.Refused, "digest_mismatch"},
		{"another repository's", of(a.bundle(t, s, a.claims(other), nil)), require(1, a), fault.Refused, "claims_contradict"},
		{"another repository's, by docker-reference", of(a.simple(t, other, "1.4", envelope.Claims{Version: 1})), require(1, a), fault.Refused, "claims_contradict"},
		{"another tag's", of(a.bundle(t, s, a.claims(otherTag), nil), a.simple(t, s, "1.3", envelope.Claims{Version: 1})), require(1, a), fault.Refused, "claims_contradict"},
		{"expired", of(a.bundle(t, s, expired, nil)), require(1, a), fault.Refused, "claims_contradict"},
		{"the claim of another key", of(a.bundle(t, s, foreign, nil)), require(1, a), fault.Refused, "claims_contradict"},
		{"an unknown critical claim", of(a.bundle(t, s, critical, nil)), require(1, a), fault.Refused, "signature_malformed"},
		{"claims of another version", of(a.simple(t, s, "1.4", future)), require(1, a), fault.Refused, "signature_malformed"},
		{"an attestation as a signature", of(attestation), require(1, a), fault.Refused, "unsigned"},
		{"two subjects", of(subjects), require(1, a), fault.Refused, "signature_malformed"},
		{"two signatures in one envelope", of(twice), require(1, a), fault.Refused, "signature_malformed"},
		{"no signature in the envelope", of(none), require(1, a), fault.Refused, "signature_malformed"},
		{"duplicate members in the payload", of(dupe), require(1, a), fault.Refused, "signature_malformed"},
		{"members in other case", of(cased), require(1, a), fault.Refused, "signature_malformed"},
		{"another payload type", of(typed), require(1, a), fault.Refused, "signature_malformed"},
		{"a bad entry beside a good one", of(none, tampered, a.bundle(t, s, a.claims(s), nil)), require(1, a), fault.Passed, "passed"},
		{"the same key twice", of(a.bundle(t, s, a.claims(s), nil), a.simple(t, s, "1.4", a.claims(s))), require(2, a, b), fault.Refused, "threshold"},
		{"the same signature malleated", of(a.simple(t, s, "1.4", a.claims(s)), malleated), require(2, a, b), fault.Refused, "threshold"},
		{"two keys", of(a.bundle(t, s, a.claims(s), nil), b.simple(t, s, "1.4", b.claims(s))), require(2, a, b), fault.Passed, "passed"},
		{"a store that cannot be read", source{errs: []error{unknown}}, require(1, a), fault.Undecided, "registry_unavailable"},
		{"unreadable beside a good one", source{[]envelope.Candidate{a.bundle(t, s, a.claims(s), nil)}, []error{unknown}}, require(1, a), fault.Passed, "passed"},
		{"unreadable beside a wrong one", source{[]envelope.Candidate{b.bundle(t, s, b.claims(s), nil)}, []error{unknown}}, require(1, a), fault.Undecided, "registry_unavailable"},
		{"an error of no kind", source{errs: []error{errors.New("boom")}}, require(1, a), fault.Undecided, "internal"},
		{"a corrupt store", source{errs: []error{fault.Refusedf("signature_malformed", "", "broken")}}, require(1, a), fault.Refused, "signature_malformed"},
	} {
		v := check(t, s, tc.policy, tc.from)
		if v.Outcome() != tc.outcome || v.Findings[0].Code != tc.code {
			t.Errorf("%s: %v, %+v; want %v %s", tc.name, v.Outcome(), v.Findings, tc.outcome, tc.code)
		}
	}
}

// malleate returns the other ECDSA signature over the same message: s → n − s.
func malleate(t testing.TB, text string) string {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		t.Fatal(err)
	}
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	der, err = asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// TestEveryTag: each tag that was asked for needs its own evidence.
func TestEveryTag(t *testing.T) {
	a := newKey(t, "a")
	s := subject("1.4", "latest")
	one := s
	one.Tags = []string{"1.4"}
	v := check(t, s, require(1, a), of(a.simple(t, s, "1.4", a.claims(one))))
	if v.Outcome() != fault.Refused || v.Findings[0].Outcome != fault.Passed || v.Findings[1].Code != "claims_contradict" {
		t.Errorf("one of two tags: %+v", v.Findings)
	}
	v = check(t, s, require(1, a), of(a.bundle(t, s, a.claims(s), nil)))
	if v.Outcome() != fault.Passed || len(v.Findings) != 2 {
		t.Errorf("a bundle for both tags: %+v", v.Findings)
	}
}

func TestFormatsAndAnnotations(t *testing.T) {
	a, s := newKey(t, "a"), subject()
	p := require(1, a)
	p.Require[0].Formats = []envelope.Format{envelope.SimpleSigning}
	if v := check(t, s, p, of(a.bundle(t, s, a.claims(s), nil))); v.Outcome() != fault.Refused || !strings.Contains(v.Findings[0].Fact, "format is bundle") {
		t.Errorf("another format: %+v", v.Findings)
	}
	p = require(1, a)
	p.Require[0].Annotations = map[string]string{"env": "prod"}
	for value, want := range map[string]fault.Outcome{"prod": fault.Passed, "test": fault.Refused, "": fault.Refused} {
		annotations := map[string]string{"env": value}
		if value == "" {
			annotations = nil
		}
		if v := check(t, s, p, of(a.bundle(t, s, a.claims(s), annotations))); v.Outcome() != want {
			t.Errorf("env=%q: %+v", value, v.Findings)
		}
	}
}

// TestZeroAndBadPolicies: what could not refuse anything is an error.
func TestZeroAndBadPolicies(t *testing.T) {
	a := newKey(t, "a")
	for name, p := range map[string]policy.Rule{
		"empty":              {},
		"no keys":            require(1),
		"threshold zero":     require(0, a),
		"threshold below":    require(-1, a),
		"threshold too high": require(2, a, a),
		"no formats":         {Require: []policy.Group{{Name: "x", Keys: []envelope.Key{a.Key}, Min: 1}}},
	} {
		_, err := gate.Check(context.Background(), gate.Request{Subject: subject(), Rule: p, Now: now}, of())
		if fault.CodeOf(err) != "policy_invalid" {
			t.Errorf("%s: %v, want policy_invalid", name, err)
		}
	}
	if (gate.Verdict{}).Outcome() == fault.Passed {
		t.Error("the zero verdict passes")
	}
}

// TestStopsEarly: evidence that is enough ends the reading.
func TestStopsEarly(t *testing.T) {
	a, s := newKey(t, "a"), subject()
	read := 0
	from := counting{of(slices.Repeat([]envelope.Candidate{a.bundle(t, s, a.claims(s), nil)}, 5)...), &read}
	if v, err := gate.Check(context.Background(), gate.Request{Subject: s, Rule: require(1, a), Now: now}, from); err != nil || v.Outcome() != fault.Passed || read != 1 {
		t.Errorf("%v, %v after %d candidates, want one", v.Outcome(), err, read)
	}
}

type counting struct {
	source
	n *int
}

func (c counting) Candidates(ctx context.Context, s image.Subject, want envelope.Want) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		for candidate, err := range c.source.Candidates(ctx, s, want) {
			*c.n++
			if !yield(candidate, err) {
				return
			}
		}
	}
}

func FuzzBundle(f *testing.F) {
	a, s := newKey(f, "a"), subject()
	f.Add(a.bundle(f, s, a.claims(s), nil).Blob)
	b := newKey(f, "b")
	f.Fuzz(func(t *testing.T, blob []byte) {
		c := envelope.Candidate{Format: envelope.Bundle, MediaType: bundle.MediaType, Blob: blob}
		if v := check(t, s, require(1, b), of(c)); v.Outcome() != fault.Refused {
			t.Errorf("%q: %v", blob, v.Outcome())
		}
	})
}

// FuzzStatements reads whatever a trusted key may have signed: nothing passes
// for an image whose digest is not in it.
func FuzzStatements(f *testing.F) {
	a, s := newKey(f, "a"), subject()
	statement, err := attest.Signature(s, a.claims(s), nil)
	if err != nil {
		f.Fatal(err)
	}
	payload, err := simplesigning.Payload(s, "1", a.claims(s), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(statement)
	f.Add(payload)
	f.Fuzz(func(t *testing.T, data []byte) {
		var v envelope.Verified
		if attest.Read(&v, data) == nil && !strings.Contains(string(data), v.SubjectDigest[7:]) {
			t.Errorf("%q: read the digest %s", data, v.SubjectDigest)
		}
		v, err := simplesigning.Unverified(envelope.Candidate{Blob: data})
		if err == nil && !strings.Contains(string(data), v.SubjectDigest[7:]) {
			t.Errorf("%q: read the digest %s", data, v.SubjectDigest)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	a, s := newKey(b, "a"), subject()
	from := of(a.bundle(b, s, a.claims(s), nil))
	for b.Loop() {
		check(b, s, require(1, a), from)
	}
}
