package cli

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
)

// maxImages is how many images are read at a time: each takes a few transfers,
// and the memory for its files.
const maxImages = 2

// checkContents compares the images, or the one of the platform, with what was
// attested of them. It returns an error where nothing could be compared for any.
func (r *run) checkContents(ctx context.Context, in contentsInput) ([]contentsView, error) {
	if r.get("trusted-keys") == "" {
		return nil, fault.Configf("trust_missing", "give --trusted-keys", "contents check needs the public keys that may have attested")
	}
	trusted, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.firstFailure(); err != nil {
		return nil, err
	}
	if r.report.Subjects, err = in.pick(r.report.Subjects); err != nil {
		return nil, err
	}
	views := make([]contentsView, len(r.report.Subjects))
	r.Concurrency = min(r.Concurrency, maxImages)
	r.each(ctx, "contents", func(ctx context.Context, s *report.Subject, i int) error {
		defer r.forget(s.Subject)
		views[i] = contentsView{Subject: s.Subject}
		if err := r.checkImage(ctx, &views[i], in, trusted); err != nil {
			views[i].fail(r.interrupted(ctx, err))
		}
		return nil
	})
	return views, nil
}

// pick returns the images that are compared. An index holds no files itself.
func (in contentsInput) pick(subjects []report.Subject) ([]report.Subject, error) {
	var all []string
	out := slices.DeleteFunc(slices.Clone(subjects), func(s report.Subject) bool {
		if image.IsIndex(s.MediaType) {
			return true
		}
		all = append(all, s.Platform)
		return in.platform != "" && s.Platform != in.platform
	})
	switch {
	case len(out) == 0 && strings.Join(all, "") == "":
		return nil, fault.Configf("platform_missing", "give the digest of one of them; an image that is no index needs no --platform", "no manifest of the image names its platform")
	case len(out) == 0 && in.platform != "":
		return nil, fault.Configf("platform_missing", "give one that it has: "+strings.Join(all, ", ")+"; an image that is no index needs none", "the image has no platform %q", in.platform)
	case len(out) == 0:
		return nil, fault.Refusedf("contents_not_an_image", "give an image that was built for a platform", "the index lists no image")
	case len(out) > 1 && len(in.paths) > 0:
		return nil, fault.Configf("platform_missing", "give --platform with one of "+strings.Join(all, ", "), "files on this machine are those of one image, and the index has %d", len(out))
	}
	return out, nil
}

// checkImage compares one image.
func (r *run) checkImage(ctx context.Context, v *contentsView, in contentsInput, trusted []envelope.Key) error {
	c, err := r.attestedContents(ctx, v, trusted)
	if err != nil {
		return err
	}
	store := v.Repository
	if r.StoreIn != "" {
		store = r.StoreIn
	}
	list := stored{r.registry, store}
	if len(in.paths) > 0 {
		return v.checkFiles(ctx, in, c, list)
	}
	m, presence, err := r.registry.Manifest(ctx, v.Repository, v.Digest)
	if err == nil && presence != registry.Found {
		err = missingImage(image.Image{Repository: v.Repository, Digest: v.Digest})
	}
	if err != nil {
		return err
	}
	return v.checkRegistry(ctx, m.Body, c, stored{r.registry, v.Repository}, list)
}

// checkRegistry compares the image in the registry.
func (v *contentsView) checkRegistry(ctx context.Context, manifest []byte, attested contents.Contents, layers, list contents.Source) error {
	found, err := contents.Read(ctx, layers, manifest, attested.Files != nil)
	if err != nil {
		return err
	}
	v.Compared = len(found.Layers)
	v.add(attested.CompareLayers(found)...)
	if attested.Files == nil {
		return nil
	}
	v.Compared += found.Files.Count
	if *attested.Files == *found.Files {
		return nil
	}
	was, err := attested.Files.Fetch(ctx, list)
	if err != nil {
		return err
	}
	is, err := found.Files.Entries(found.List)
	if err != nil {
		return err
	}
	diff := contents.CompareFiles(was, is)
	if len(diff) == 0 { // cannot be: one list has one root
		return fault.Undecidedf("internal", "report this", "the files have the root %s and %s was attested, and no file differs", found.Files.Root, attested.Files.Root)
	}
	v.add(diff...)
	return nil
}

// checkFiles compares files on this machine.
func (v *contentsView) checkFiles(ctx context.Context, in contentsInput, attested contents.Contents, list contents.Source) error {
	if attested.Files == nil {
		return fault.Refusedf("contents_files_missing", "attest it with --contents files, or check it without a PATH", "only the layers of the image were attested, and not its files")
	}
	entries, err := attested.Files.Fetch(ctx, list)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(in.root)
	if err != nil {
		return fault.Configf("contents_path_invalid", "give the directory that the image was unpacked to", "the root cannot be opened: %w", err)
	}
	defer root.Close()
	findings, compared, err := contents.Local(ctx, root, entries, in.paths)
	v.Compared = compared
	v.add(findings...)
	return err
}

// attestedContents returns what a trusted key has attested of an image. Where there are
// several attestations they have to agree, and one with files is taken.
func (r *run) attestedContents(ctx context.Context, v *contentsView, trusted []envelope.Key) (contents.Contents, error) {
	statements, err := r.attestations(ctx, v.Subject, trusted)
	if err != nil {
		return contents.Contents{}, err
	}
	var out contents.Contents
	for i, s := range statements {
		c, err := contents.Parse(s.Predicate)
		switch {
		case err != nil:
			return contents.Contents{}, err
		case i > 0 && (len(out.CompareLayers(c)) > 0 || out.Files != nil && c.Files != nil && !reflect.DeepEqual(out.Files, c.Files)):
			return contents.Contents{}, fault.Refusedf("contents_contradict", "find out which is right, and delete the other one", "the attestations %s and %s say different things of what the image holds", v.Attestation, s.Manifest)
		case i == 0 || out.Files == nil && c.Files != nil:
			out, v.Attestation, v.Key = c, s.Manifest, s.Key.Name
		}
	}
	v.Layers = len(out.Layers)
	if out.Files != nil {
		v.Files = out.Files.Count
	}
	return out, nil
}

// attestations returns every attestation of an image's contents by a trusted key.
// None is a refusal ("attestation_missing").
func (r *run) attestations(ctx context.Context, s image.Subject, trusted []envelope.Key) ([]envelope.Verified, error) {
	want := policy.Attestation{Type: attest.Contents, By: policy.Group{Name: "trusted-keys", Keys: trusted, Min: 1}, Which: policy.All}
	rule := policy.Rule{Name: "trusted-keys", Index: policy.Self, Mode: policy.Enforce, Attestations: []policy.Attestation{want}}
	s.Tags = nil
	verdict, err := gate.Check(ctx, gate.Request{Subject: s, Rule: rule, Now: r.now}, r.view(s))
	if err != nil {
		return nil, err
	}
	for _, f := range verdict.Findings {
		if f.Outcome != fault.Passed {
			return nil, fault.Newf(f.Outcome, f.Code, f.Next, "%s", f.Fact)
		}
	}
	return verdict.Attested, nil
}
