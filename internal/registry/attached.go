package registry

import (
	"context"

	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/image"
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

// Attached lists everything that is attached to s: referrers of any type, and
// the manifests at cosign's three tags. An entry that two stores list is there
// once. It returns an error when a store could not be read.
func (c *Client) Attached(ctx context.Context, s image.Subject) ([]Attached, error) {
	var out []Attached
	seen := map[string]bool{}
	for _, store := range []string{StoreReferrers, StoreFallback} {
		list, err := c.entries(ctx, s, store)
		if err != nil {
			return nil, &StoreError{store, err}
		}
		for _, d := range list {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				out = append(out, Attached{d.Digest, store, d.ArtifactType, d.Annotations[bundle.PredicateTypeAnnotation], d.Annotations})
			}
		}
	}
	for _, suffix := range []string{".sig", ".att", ".sbom"} {
		digest, found, err := c.Resolve(ctx, s.Repository, FallbackTag(s.Digest)+suffix)
		if err != nil {
			return nil, &StoreError{StoreSignatureTag, err}
		}
		if found {
			out = append(out, Attached{Digest: digest, Store: "tag " + FallbackTag(s.Digest) + suffix})
		}
	}
	return out, nil
}
