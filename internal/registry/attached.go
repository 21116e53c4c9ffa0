package registry

import (
	"context"

	"github.com/signgate/signgate/internal/envelope/bundle"
)

// Attached is something that is attached to a subject, as the registry lists
// it. Nothing in it is verified.
type Attached struct {
	Digest        string            `json:"digest"`
	Store         string            `json:"store"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	PredicateType string            `json:"predicateType,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Attached lists everything that is attached to the subject: referrers of any type, and
// the manifests at cosign's three tags. An entry that two stores list is there
// once. It returns an error when a store could not be read.
func (v *View) Attached(ctx context.Context) ([]Attached, error) {
	listed := v.listing(ctx)
	if listed.err != nil {
		return nil, &StoreError{StoreReferrers, listed.err}
	}
	fallback, err := v.fallback(ctx)
	if err != nil {
		return nil, &StoreError{StoreFallback, err}
	}
	seen := map[string]bool{}
	out := attached(StoreReferrers, listed.entries, seen)
	out = append(out, attached(StoreFallback, fallback, seen)...)
	for _, suffix := range []string{".sig", ".att", ".sbom"} {
		tag := FallbackTag(v.subject.Digest) + suffix
		digest, presence, err := v.client.Resolve(ctx, v.client.store(v.subject), tag)
		if err != nil {
			return nil, &StoreError{StoreSignatureTag, err}
		}
		if presence == Found {
			out = append(out, Attached{Digest: digest, Store: "tag " + tag})
		}
	}
	return out, nil
}

func attached(store string, list []descriptor, seen map[string]bool) (out []Attached) {
	for _, d := range list {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			out = append(out, Attached{d.Digest, store, d.ArtifactType, d.Annotations[bundle.PredicateTypeAnnotation], d.Annotations})
		}
	}
	return out
}
