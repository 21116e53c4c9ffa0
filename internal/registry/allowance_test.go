package registry

import (
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/image"
)

// TestAllowance: many attestations leave room for signatures, and many signatures
// for attestations.
func TestAllowance(t *testing.T) {
	attestation := entry{format: envelope.Bundle, descriptor: descriptor{Annotations: map[string]string{bundle.PredicateTypeAnnotation: "x:y"}}}
	var list []entry
	for range MaxAttestations + 1 {
		list = append(list, attestation)
	}
	for range MaxCandidates {
		list = append(list, entry{format: envelope.Bundle})
	}
	left := allowance{MaxCandidates, MaxAttestations}
	if got, all := left.take(list); len(got) != MaxCandidates+MaxAttestations || all {
		t.Errorf("%d entries, all %t", len(got), all)
	}
	left = allowance{MaxCandidates, MaxAttestations}
	if got, all := left.take(list[1:]); len(got) != len(list)-1 || !all {
		t.Errorf("%d entries, all %t", len(got), all)
	}
}

// TestHasVersion: which tag a listed version may be of, by what the registry says
// of it.
func TestHasVersion(t *testing.T) {
	sig, att := cosignTags()[0], cosignTags()[1]
	marked := map[string]string{formatName: "dsse"}
	other := map[string]string{"x": "y"}
	for _, test := range []struct {
		artifactType string
		annotations  map[string]string
		sig, att     bool
	}{
		{sig.artifactType, nil, true, false},
		{att.artifactType, marked, false, true},
		{configMediaType, marked, false, true},
		{configMediaType, other, true, false},
		{configMediaType, nil, true, true},
		{"", marked, false, true},
		{"", nil, true, true},
		{"application/x", nil, false, false},
	} {
		d := descriptor{MediaType: image.OCIManifest, ArtifactType: test.artifactType, Annotations: test.annotations}
		if sig.hasVersion(d) != test.sig || att.hasVersion(d) != test.att {
			t.Errorf("%q %v: %t %t", test.artifactType, test.annotations, sig.hasVersion(d), att.hasVersion(d))
		}
	}
}
