package cli

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/layout"
	"github.com/signgate/signgate/internal/registry"
)

// record writes an image's manifests, and what is attached to them, to a layout
// below dir, and prints a case for it. Layers are left out. Other images, its
// base images, go into the same layout without their tags, which have no
// repository there.
func (r *run) record(ctx context.Context, dir string) error {
	images, err := r.images(true)
	if err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	r.Recursive = true
	r.subjects(ctx, images)
	if err := r.firstFailure(); err != nil {
		return err
	}
	name := fixtureName(images[0])
	l, err := layout.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	for _, s := range r.report.Subjects {
		if s.Index != "" || s.Repository != images[0].Repository {
			s.Tags = nil
		}
		if err := r.recordSubject(ctx, l, s.Subject); err != nil {
			return err
		}
	}
	if err := l.Save(); err != nil {
		return unwritable(err)
	}
	_, err = fmt.Fprintf(r.process.Stdout, "policy: policy.yaml\nimage: %s\nlayout: %s\nnow: %s\nexpect: {verdict: passed}\n", images[0], name, stamp(r.now))
	return err
}

// fixtureName is the folder of an image's layout: app-1.4.
func fixtureName(img image.Image) string {
	name := path.Base(img.Repository)
	switch {
	case len(img.Tags) > 0:
		return name + "-" + img.Tags[0]
	case len(img.Digest) > 19:
		return name + "-" + strings.TrimPrefix(img.Digest, "sha256:")[:12]
	}
	return name
}

func (r *run) recordSubject(ctx context.Context, l *layout.Layout, s image.Subject) error {
	if err := r.recordManifest(ctx, l, s.Repository, s.Digest, ""); err != nil {
		return err
	}
	for _, tag := range s.Tags {
		if err := r.recordManifest(ctx, l, s.Repository, s.Digest, tag); err != nil {
			return err
		}
	}
	view := r.view(s)
	attached, err := view.Attached(ctx)
	if err != nil {
		return err
	}
	store := s.Repository
	if r.StoreIn != "" {
		store = r.StoreIn
	}
	for _, a := range attached {
		tag, _ := strings.CutPrefix(a.Store, "tag ")
		if tag == a.Store {
			tag = ""
		}
		if err := r.recordManifest(ctx, l, store, a.Digest, tag); err != nil {
			return err
		}
	}
	return r.recordEnvelopes(ctx, l, s, view)
}

func (r *run) recordManifest(ctx context.Context, l *layout.Layout, repository, digest, tag string) error {
	m, presence, err := r.registry.Manifest(ctx, repository, digest)
	if err == nil && presence == registry.Absent {
		err = fault.Undecidedf("referrer_missing", "run again", "%s lists %s, which the registry does not have", repository, digest)
	}
	if err != nil {
		return err
	}
	return unwritable(l.Manifest(m.MediaType, m.Body, tag))
}

// recordEnvelopes writes the signatures and attestations. A malformed one is
// none in the fixture, either.
func (r *run) recordEnvelopes(ctx context.Context, l *layout.Layout, s image.Subject, view *registry.View) error {
	for c, err := range view.Candidates(ctx, s, envelope.Want{Attestations: true}) {
		if err != nil && fault.OutcomeOf(err) == fault.Refused {
			r.warn("not recorded: " + err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if err := l.Blob(c.Blob); err != nil {
			return unwritable(err)
		}
	}
	return nil
}

func unwritable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Configf("file_unwritable", "choose a folder that can be written to", "the fixture cannot be written: %w", err)
}
