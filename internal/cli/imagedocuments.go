package cli

import (
	"context"
	"slices"
	"sync"

	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/attest/provenance"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// makeDocuments makes what is known only with the images: provenance, and what
// they hold.
func (r *run) makeDocuments(ctx context.Context) error {
	if r.Provenance {
		bases, err := r.builtFrom(ctx)
		if err != nil {
			return err
		}
		p, err := provenance.Predicate(r.workflowRun(), bases, r.now)
		if err != nil {
			return err
		}
		r.documents = append(r.documents, document{Predicate: p, source: "provenance"})
	}
	if r.get("contents") != "" {
		return r.readContents(ctx)
	}
	return nil
}

// readContents adds what each image holds. An index holds nothing itself.
func (r *run) readContents(ctx context.Context) error {
	var mu sync.Mutex // guards r.documents and seen
	seen := map[string]bool{}
	r.few(ctx, "contents", maxImages, func(ctx context.Context, s *report.Subject) error {
		mu.Lock()
		again := seen[s.Digest]
		seen[s.Digest] = true
		mu.Unlock()
		if again || image.IsIndex(s.MediaType) {
			return nil
		}
		d, err := r.contentsOf(ctx, s.Subject)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		r.documents = append(r.documents, d)
		return nil
	})
	return nil
}

// contentsOf reads one image. The list of its files is attached beside the
// statement that names it.
func (r *run) contentsOf(ctx context.Context, s image.Subject) (document, error) {
	m, err := r.manifest(ctx, image.Image{Repository: s.Repository, Digest: s.Digest}, s.Digest)
	if err != nil {
		return document{}, err
	}
	c, err := contents.Read(ctx, stored{r.registry, s.Repository}, m.Body, r.get("contents") == "files")
	if err != nil {
		return document{}, err
	}
	p, err := c.Predicate()
	p.Digests = []string{s.Digest}
	d := document{Predicate: p, source: "contents of " + s.String()}
	if c.List != nil {
		d.beside = []envelope.Attachment{{Format: envelope.Bundle, MediaType: contents.ListType, Blob: c.List}}
	}
	return d, err
}

// builtFrom returns the base images that the manifests name, each once.
func (r *run) builtFrom(ctx context.Context) ([]provenance.Base, error) {
	var out []provenance.Base
	for _, s := range r.report.Subjects {
		if s.Failed() || image.IsIndex(s.MediaType) {
			continue
		}
		m, _, err := r.registry.Manifest(ctx, s.Repository, s.Digest)
		if err != nil {
			return nil, err
		}
		if b, named := gate.AnnotatedBase(m.Body); named && b.Repository != "" {
			if base := (provenance.Base{Name: b.Name, Digest: b.Digest}); !slices.Contains(out, base) {
				out = append(out, base)
			}
		}
	}
	return out, nil
}
