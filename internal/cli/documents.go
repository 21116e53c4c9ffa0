package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/attest/provenance"
	"github.com/signgate/signgate/internal/attest/sbom"
	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// document is a predicate that is to be attested.
type document struct {
	attest.Predicate
	source string                // what the user gave, for messages
	beside []envelope.Attachment // what is attached with it
}

// attests reports whether anything is to be attested.
func (o options) attests() bool {
	return o.Provenance || slices.ContainsFunc([]string{"sbom-path", "scan-path", "predicate-path", "predicate-type", "contents"}, func(name string) bool { return o.get(name) != "" })
}

// readDocuments reads the files that are to be attested, before anything is asked
// of a registry or a key backend.
func (r *run) readDocuments() error {
	if err := r.checkAttesting(); err != nil {
		return err
	}
	if r.Provenance { // whether there is a run to speak of
		if _, err := provenance.Predicate(r.workflowRun(), nil, r.now); err != nil {
			return err
		}
	}
	for _, path := range r.lines("sbom-path") {
		if err := r.readDocument("sbom-path", path, sbom.Read); err != nil {
			return err
		}
	}
	form := scanForms[r.get("scan-predicate")]
	for _, path := range r.lines("scan-path") {
		err := r.readDocument("scan-path", path, func(text []byte) (attest.Predicate, error) { return scan.Read(text, form) })
		if err != nil {
			return err
		}
	}
	if path := r.get("predicate-path"); path != "" {
		return r.readDocument("predicate-path", path, func(text []byte) (attest.Predicate, error) {
			return attest.Custom(r.get("predicate-type"), text)
		})
	}
	return nil
}

var scanForms = map[string]scan.Form{"cosign": scan.Cosign, "in-toto": scan.InToto}

func (r *run) checkAttesting() error {
	for _, pair := range [][2]string{{"predicate-path", "predicate-type"}, {"predicate-type", "predicate-path"}} {
		if r.get(pair[0]) != "" && r.get(pair[1]) == "" {
			return fault.Configf("inputs_contradict", "set both, or neither", "%s is given without %s", pair[0], pair[1])
		}
	}
	if c := r.get("contents"); c != "" && c != "layers" && c != "files" {
		return badInput("contents", c, "layers or files")
	}
	if f := r.get("scan-predicate"); f != "cosign" && f != "in-toto" {
		return badInput("scan-predicate", f, "cosign or in-toto")
	}
	if r.report.Command == "attest" && !r.attests() {
		return fault.Configf("attestation_nothing", "set provenance, sbom-path, scan-path, contents, or predicate-type and predicate-path", "nothing is given to attest")
	}
	return nil
}

func (r *run) readDocument(input, path string, read func([]byte) (attest.Predicate, error)) error {
	text, err := readFile(input, r.runner.TranslatePath(path), scan.MaxReport)
	if err != nil {
		return err
	}
	p, err := read(text)
	if err != nil {
		return fmt.Errorf("%s %s: %w", input, path, err)
	}
	for _, note := range p.Notes {
		r.warn(input + " " + path + ": " + note)
	}
	if input == "scan-path" && len(p.Digests) == 0 && !r.AllowUnnamed {
		return fault.Configf("scan_unnamed", "scan the image by its digest, NAME@sha256:…, or set allow-unnamed: true when you know that it is this image",
			"%s %s does not name the digest of what was scanned", input, path)
	}
	r.documents = append(r.documents, document{Predicate: p, source: input + " " + path})
	return nil
}

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

// place finds the subjects of each document.
func (r *run) place() ([]attesting, error) {
	var out []attesting
	for _, d := range r.documents {
		at, err := r.about(d)
		if err != nil {
			return nil, err
		}
		if len(at) > 0 {
			out = append(out, attesting{document: d, at: at, essence: attest.Essence(d.Type, d.Body)})
		}
	}
	return out, nil
}

// about returns the subjects that a document is about: those with the digests
// that it names, the platforms of an index among them, and the index of a
// platform; all of them when it names none. A document about something else is
// refused ("subject_other").
func (r *run) about(d document) ([]int, error) {
	var all, named, indexes []int
	failed, images := false, map[string]bool{}
	byDigest := map[string]bool{}
	for _, digest := range d.Digests {
		byDigest[digest] = true
	}
	for i, s := range r.report.Subjects {
		if s.Failed() {
			failed = true
			continue
		}
		all = append(all, i)
		if s.Index == "" {
			images[s.Digest] = true
		}
		switch {
		case byDigest[s.Digest] || byDigest[s.Index]:
			named = append(named, i)
		case slices.ContainsFunc(r.report.Subjects, func(c report.Subject) bool { return c.Index == s.Digest && byDigest[c.Digest] }):
			indexes = append(indexes, i)
		}
	}
	switch {
	case len(d.Digests) == 0 && len(images) > 1 && d.Type != attest.Provenance:
		return nil, fault.Configf("subject_ambiguous", "attest it in a step of its own, with that image alone", "%s does not name a digest, and there are %d images", d.source, len(images))
	case len(d.Digests) == 0:
		return all, nil
	case len(named) == 0 && !failed:
		return nil, fault.Refusedf("subject_other", "make it for this image, by its digest",
			"%s is about %s, which is none of the images of this run", d.source, strings.Join(d.Digests, ", "))
	}
	out := append(named, indexes...)
	slices.Sort(out)
	return out, nil
}
