package envelope_test

import (
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// FuzzBundle: a bundle is read or refused, and its hint is a fingerprint.
func FuzzBundle(f *testing.F) {
	for _, c := range func() []envelope.Candidate { _, _, out := sealed(f, mldsaKeys(f)[0]); return out[:1] }() {
		f.Add(c.Blob)
	}
	f.Add([]byte(`{"mediaType":"` + bundle.MediaType + `","dsseEnvelope":{"payload":"e30","payloadType":"` + dsse.PayloadType + `","signatures":[null]}}`))
	f.Add([]byte(`{"dsse_envelope":{"signatures":[{"sig":"_-"}]},"mediaType":"` + bundle.MediaType + `","verificationMaterial":{"publicKey":{"hint":"=="}}}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		c := envelope.Candidate{Format: envelope.Bundle, MediaType: bundle.MediaType, Blob: blob}
		if _, err := bundle.Unverified(c); err != nil && fault.OutcomeOf(err) != fault.Refused {
			t.Errorf("%q: %v", blob, err)
		}
		if hint := bundle.HintOf(c); hint != "" && image.CheckDigest(hint) != nil {
			t.Errorf("%q: the hint %q", blob, hint)
		}
	})
}

// FuzzDSSE: a layer of an attestation is read or refused.
func FuzzDSSE(f *testing.F) {
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"c2ln"}]}`))
	f.Add([]byte(`{"payload":null,"payloadType":"","signatures":[null,{}]}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		c := envelope.Candidate{Format: envelope.DSSE, MediaType: dsse.MediaType, Blob: blob}
		if _, err := dsse.Unverified(c); err != nil && fault.OutcomeOf(err) != fault.Refused {
			t.Errorf("%q: %v", blob, err)
		}
		if _, _, err := dsse.Verify(c, nil); err == nil {
			t.Errorf("%q verifies with no key", blob)
		}
	})
}

// FuzzReference: what a docker-reference is split into is the same reference again,
// or none, when its full name is too long.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{"ghcr.io/acme/app:1.4", "alpine", "Alpine:3@sha256:x", "localhost:5000/a", "a:b:c", "index.docker.io/library/alpine:3", "@", ":", "a/b:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		repository, tag, ok := simplesigning.SplitReference(ref)
		if !ok {
			return
		}
		again, tagAgain, ok := simplesigning.SplitReference(simplesigning.Reference(repository, tag))
		if ok && (again != repository || tagAgain != tag) {
			t.Errorf("%q: %q %q, and again %q %q %v", ref, repository, tag, again, tagAgain, ok)
		}
	})
}
