package cli

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/retry"
)

// images returns the images that the inputs name.
func (r *run) images(allowTags bool) ([]image.Image, error) {
	in := image.Inputs{Digest: r.get("digest"), AllowTags: allowTags}
	if _, given := r.values["images"]; given {
		in.Images = append([]string{}, r.list("images")...)
	}
	var err error
	if in.Metadata, err = r.metadata(); err != nil {
		return nil, err
	}
	switch from := r.get("images-from"); from {
	case "":
	case "artifacts":
		if in.References, err = r.artifacts(); err != nil {
			return nil, err
		}
	default:
		return nil, badInput("images-from", from, "artifacts, or absent")
	}
	return image.Collect(in)
}

func (r *run) metadata() ([]byte, error) {
	text, path := r.get("metadata"), r.runner.TranslatePath(r.get("metadata-file"))
	switch {
	case text != "" && path != "":
		return nil, fault.Configf("inputs_contradict", "keep one of them", "metadata and metadata-file are both given")
	case text != "":
		return []byte(text), nil
	case path == "":
		return nil, nil
	}
	return readFile("metadata-file", path, image.MaxMetadata)
}

// readFile returns a file of at most limit bytes that an input names.
func readFile(input, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Configf("file_unreadable", "check the path; in a container action it is relative to the workspace", "the file of %s cannot be read: %w", input, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil || int64(len(data)) > limit {
		return nil, fault.Configf("file_unreadable", "give a smaller file", "the file %s of %s cannot be read or has more than %d bytes", path, input, limit)
	}
	return data, nil
}

func (r *run) artifacts() ([]string, error) {
	list, err := r.runner.ArtifactsList()
	refs := []string{}
	for _, a := range list {
		if a.Kind == actions.KindOCI {
			refs = append(refs, a.Name+"@"+a.Digest)
		}
	}
	return refs, err
}

// subjects asks the registry for the images and puts what is signed or gated
// into the report: each image, and with recursive the platform manifests of
// its index. An image that cannot be had is there as well, with its finding, so
// that it hides no other.
func (r *run) subjects(ctx context.Context, images []image.Image) {
	lists := make([][]report.Subject, len(images))
	var g errgroup.Group
	g.SetLimit(r.Concurrency)
	for i, img := range images {
		g.Go(func() error {
			began := time.Now()
			list, err := r.expand(ctx, img)
			if err != nil {
				s := report.NewSubject(image.Subject{Repository: img.Repository, Digest: img.Digest, Tags: img.Tags})
				s.Fail("image", r.interrupted(ctx, err))
				list = []report.Subject{s}
			}
			list[0].Took("resolve", time.Since(began))
			lists[i] = list
			return nil
		})
	}
	_ = g.Wait() // each failure is in its list
	r.report.Subjects = slices.Concat(lists...)
	if r.policy == nil || len(r.policy.Exceptions) == 0 { // an exception for one index is none for another with the same platform
		r.report.Subjects = distinct(r.report.Subjects)
	}
}

// distinct leaves out platform manifests that are there already under the same
// tags, as a subject of their own or below another index.
func distinct(subjects []report.Subject) []report.Subject {
	var out []report.Subject
	for i, s := range subjects {
		again := func(o report.Subject) bool {
			return o.Repository == s.Repository && o.Digest == s.Digest && sameSet(o.Tags, s.Tags)
		}
		named := slices.ContainsFunc(subjects[i+1:], func(o report.Subject) bool { return o.Index == "" && again(o) })
		if s.Index == "" || !named && !slices.ContainsFunc(out, again) {
			out = append(out, s)
		}
	}
	return out
}

// maxSubjects bounds the manifests below one image, and maxDepth indexes of
// indexes.
const (
	maxSubjects = 1000
	maxDepth    = 4
)

func (r *run) expand(ctx context.Context, img image.Image) ([]report.Subject, error) {
	if r.rules != nil { // an image without a rule is refused before anything is asked
		if _, err := r.rules(img.Repository); err != nil {
			return nil, err
		}
	}
	s, body, err := r.resolve(ctx, img)
	if err != nil {
		return nil, err
	}
	for _, tag := range r.list("promote-tags") {
		if r.promised(tag) && !slices.Contains(s.Tags, tag) {
			s.Tags = append(slices.Clone(s.Tags), tag)
		}
	}
	return r.withChildren(ctx, s, body, maxDepth, map[string]bool{s.Digest: true})
}

// withChildren returns s, and with recursive what is below it and not yet seen.
func (r *run) withChildren(ctx context.Context, s image.Subject, body []byte, depth int, seen map[string]bool) ([]report.Subject, error) {
	out := []report.Subject{report.NewSubject(s)}
	if !image.IsIndex(s.MediaType) || !r.recursive(s) {
		return out, nil
	}
	children, skipped, err := image.Children(s, body)
	if err != nil {
		return nil, err
	}
	out[0].Skipped = skipped
	for _, child := range children {
		if seen[child.Digest] {
			continue
		}
		if seen[child.Digest] = true; len(seen) > maxSubjects {
			return nil, fault.Undecidedf("limit_exceeded", "build an image with fewer manifests", "%s has more than %d manifests below it", s, maxSubjects)
		}
		if !image.IsIndex(child.MediaType) {
			out = append(out, report.NewSubject(child))
			continue
		}
		below, err := r.nested(ctx, child, depth-1, seen)
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

// recursive reports whether what is below an index is worked on, too.
func (r *run) recursive(s image.Subject) bool {
	if r.rules == nil {
		return r.Recursive
	}
	rule, err := r.ruleOf(s)
	_, skipped := rule.Skips("index")
	return err == nil && rule.Index != policy.Self && !skipped
}

// nested is withChildren for an index that an index lists.
func (r *run) nested(ctx context.Context, s image.Subject, depth int, seen map[string]bool) ([]report.Subject, error) {
	if depth == 0 {
		return nil, fault.Refusedf("not_a_manifest", "build an image without indexes in indexes", "%s is nested more than %d indexes deep", s, maxDepth)
	}
	m, err := r.manifest(ctx, image.Image{Repository: s.Repository, Digest: s.Digest}, s.Digest)
	if err != nil {
		return nil, err
	}
	if err := image.CheckManifest(s, m.Body); err != nil {
		return nil, err
	}
	return r.withChildren(ctx, s, m.Body, depth, seen)
}

// resolve fetches the manifest of an image and checks that its tags, where the
// registry has them, point to it.
func (r *run) resolve(ctx context.Context, img image.Image) (image.Subject, []byte, error) {
	reference := img.Digest
	if reference == "" && len(img.Tags) > 0 {
		reference = img.Tags[0]
	}
	if reference == "" {
		return image.Subject{}, nil, fault.Configf("digest_missing", "write "+img.Repository+":tag or "+img.Repository+"@sha256:…", "%s has neither a tag nor a digest", img.Repository)
	}
	stop := r.readAhead(ctx, img)
	m, err := r.manifest(ctx, img, reference)
	stop(err)
	if err != nil {
		return image.Subject{}, nil, err
	}
	s := image.Subject{Repository: img.Repository, Digest: m.Digest, MediaType: m.MediaType, Size: int64(len(m.Body)), Tags: img.Tags}
	if err := image.CheckManifest(s, m.Body); err != nil {
		return image.Subject{}, nil, err
	}
	if img.Digest == "" {
		r.say("%s is %s", img, m.Digest)
		return s, m.Body, nil
	}
	return s, m.Body, r.checkTags(ctx, s)
}

// manifest returns a manifest that has to be there. One with a digest is waited
// for a little: it may have been pushed a moment ago.
func (r *run) manifest(ctx context.Context, img image.Image, reference string) (m registry.Manifest, err error) {
	err = r.await(ctx, img, func() (p registry.Presence, err error) {
		m, p, err = r.registry.Manifest(ctx, img.Repository, reference)
		return p, err
	})
	return m, err
}

// await asks again for an image, a few times, while it is not found.
func (r *run) await(ctx context.Context, img image.Image, ask func() (registry.Presence, error)) error {
	for wait := 500 * time.Millisecond; ; wait *= 2 {
		p, err := ask()
		if err != nil || p == registry.Found {
			return err
		}
		if img.Digest == "" || wait > 2*time.Second {
			return missingImage(img)
		}
		if err := retry.Wait(ctx, wait); err != nil {
			return err
		}
	}
}

func missingImage(img image.Image) error {
	return fault.Refusedf("image_missing", "push it before this step, and check the repository's name and the digest",
		"the registry has no %s", img)
}

// promised reports whether sign claims a tag that verify will move to the image
// later. Today it points to the release before.
func (r *run) promised(tag string) bool {
	return r.report.Command == "sign" && slices.Contains(r.list("promote-tags"), tag)
}

// checkTags refuses when a tag points somewhere else: then what was built is
// not what the tag delivers.
func (r *run) checkTags(ctx context.Context, s image.Subject) error {
	for _, tag := range s.Tags {
		if r.promised(tag) {
			continue
		}
		digest, found, err := r.registry.Resolve(ctx, s.Repository, tag)
		switch {
		case err != nil:
			return err
		case found == registry.Absent:
			r.warn("the tag " + s.Repository + ":" + tag + " is not in the registry (yet)")
		case digest != s.Digest:
			return fault.Refusedf("tag_moved", "find out who pushed the tag; build again if a later run of yours did",
				"the tag %s:%s points to %s, not to %s", s.Repository, tag, digest, s.Digest)
		}
	}
	return nil
}
