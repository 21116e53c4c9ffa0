package gate_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// FuzzSigned: whatever a trusted key has signed, it lets no image pass that it
// does not name.
func FuzzSigned(f *testing.F) {
	k, s := newKey(f, "a"), subject("1.4")
	for _, text := range []string{
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + s.Digest[7:] + `"}}],"predicateType":"` + envelope.SignaturePredicate + `","predicate":{"dev.signgate.claims":{"version":1}}}`,
		`{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app:1.4"},"image":{"docker-manifest-digest":"` + s.Digest + `"},"type":"cosign container image signature"},"optional":{}}`,
	} {
		f.Add([]byte(text))
	}
	rule := require(1, k)
	rule.Bind = policy.Bind{Repository: true, Tag: true}
	f.Fuzz(func(t *testing.T, signed []byte) {
		for _, c := range []envelope.Candidate{k.statement(t, signed), k.payload(t, signed)} {
			v := check(t, s, rule, of(c))
			switch {
			case v.Outcome() == fault.Undecided:
				t.Errorf("%q: %+v", signed, v.Findings)
			case v.Outcome() == fault.Passed && !bytes.Contains(signed, []byte(s.Digest[7:])) && !bytes.Contains(signed, []byte(`\u`)):
				t.Errorf("%q passes and does not have the digest", signed)
			}
		}
	})
}

// FuzzPayload: no layer of a stranger lets an image pass, whatever its annotation.
func FuzzPayload(f *testing.F) {
	k, s := newKey(f, "a"), subject("1.4")
	good := k.simple(f, s, "1.4", k.claims(s))
	f.Add(good.Blob, good.Signature)
	f.Add([]byte(`{}`), "AAAA")
	rule := require(1, newKey(f, "b"))
	f.Fuzz(func(t *testing.T, blob []byte, signature string) {
		c := envelope.Candidate{Format: envelope.SimpleSigning, MediaType: good.MediaType, Blob: blob, Signature: signature}
		if v := check(t, s, rule, of(c)); v.Outcome() != fault.Refused {
			t.Errorf("%q, %q: %v", blob, signature, v.Outcome())
		}
	})
}

// FuzzPredicateTime: a time comes from a predicate of a known type that has it.
func FuzzPredicateTime(f *testing.F) {
	f.Add(vulns, []byte(`{"metadata":{"scanFinishedOn":"2026-11-21T12:00:00Z"}}`))
	f.Add(provenance, []byte(`{"runDetails":{"metadata":{"finishedOn":null}}}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		at, field := gate.PredicateTime(kind, data)
		if (field == "") && !at.IsZero() {
			t.Errorf("%q, %q: %v from no field", kind, data, at)
		}
	})
}

// FuzzBase: a base image comes with a whole digest, or without a repository.
func FuzzBase(f *testing.F) {
	f.Add([]byte(`{"annotations":{"org.opencontainers.image.base.name":"alpine:3","org.opencontainers.image.base.digest":"` + image.DigestOf(nil) + `"}}`))
	f.Add([]byte(`{"buildDefinition":{"resolvedDependencies":[{"uri":"pkg:docker/alpine@3?platform=linux","digest":{"sha256":"` + image.DigestOf(nil)[7:] + `"}}]}}`))
	f.Add([]byte(`{"materials":[{"uri":"pkg:oci/x?repository_url=ghcr.io/x%2Fy"},{"uri":"docker-image://a@b"},null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bases := gate.ProvenBases([]envelope.Verified{{Predicate: data}})
		if b, named := gate.AnnotatedBase(data); named {
			bases = append(bases, b)
		}
		for _, b := range bases {
			if b.Repository != "" && (image.CheckDigest(b.Digest) != nil || strings.ContainsAny(b.Repository, " @")) {
				t.Errorf("%q: %+v", data, b)
			}
		}
	})
}
