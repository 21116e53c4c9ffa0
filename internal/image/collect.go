package image

import (
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// Inputs are the ways of naming images. Exactly one of Images, Metadata and
// References is used; Digest belongs to Images.
type Inputs struct {
	Images     []string // references; a nil slice means that the input was not given
	Digest     string   // the digest of all Images
	Metadata   []byte   // the JSON of docker/build-push-action or docker/bake-action; nil when not given
	References []string // references with digests from the runner's artifact list; nil when not given
	AllowTags  bool     // a reference may have a tag and no digest (verify)
}

// Collect returns the images that in names: one for each repository and
// digest, with all tags that were given for it, in the order of their first
// mention. It returns a configuration fault when no source or several are
// given, when a list is blank, when a tag comes without a digest
// ("digest_missing") and when the digests contradict each other.
func Collect(in Inputs) ([]Image, error) {
	images, err := read(in)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		if img.Digest == "" && !in.AllowTags {
			return nil, fault.Configf("digest_missing",
				"set digest: ${{ steps.<build step>.outputs.digest }}, or write "+img.Repository+"@sha256:…",
				"%s has no digest, and a tag can move between the build and the signature", img)
		}
	}
	return merge(images), nil
}

func read(in Inputs) ([]Image, error) {
	given := 0
	for _, b := range []bool{in.Images != nil, in.Metadata != nil, in.References != nil} {
		if b {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, fault.Configf("images_missing", "set images and digest, or metadata, metadata-file or images-from: artifacts", "no image was named")
	case given > 1:
		return nil, fault.Configf("inputs_contradict", "keep one of images, metadata, metadata-file and images-from", "the images are named twice")
	case in.Digest != "" && in.Images == nil:
		return nil, fault.Configf("inputs_contradict", "remove digest, or give images in place of the metadata", "digest is given, but the images bring digests of their own")
	case in.Metadata != nil:
		return fromMetadata(in.Metadata)
	case in.References != nil:
		return fromReferences(in.References)
	}
	return fromList(in.Images, in.Digest)
}

func fromList(list []string, digest string) ([]Image, error) {
	if digest != "" {
		if err := CheckDigest(digest); err != nil {
			return nil, err
		}
	}
	var images []Image
	for _, s := range list {
		if strings.TrimSpace(s) == "" {
			continue
		}
		img, err := Parse(s)
		if err != nil {
			return nil, err
		}
		if digest != "" && img.Digest != "" && img.Digest != digest {
			return nil, fault.Configf("inputs_contradict", "remove one of the two", "%s names another digest than the input digest, %s", img, digest)
		}
		if digest != "" {
			img.Digest = digest
		}
		images = append(images, img)
	}
	if len(images) == 0 {
		return nil, fault.Configf("images_missing", "check the step that fills it: its output may be empty on this event", "images is blank")
	}
	return images, nil
}

func fromReferences(refs []string) ([]Image, error) {
	images, err := fromList(refs, "")
	if err != nil {
		return nil, fault.Configf(fault.CodeOf(err), "push an image in an earlier step, or set images and digest", "the runner's artifact list: %w", err)
	}
	return images, nil
}

func merge(images []Image) []Image {
	var out []Image
	for _, img := range images {
		same := func(o Image) bool {
			return o.Repository == img.Repository && o.Digest == img.Digest && (img.Digest != "" || slices.Equal(o.Tags, img.Tags))
		}
		i := slices.IndexFunc(out, same)
		if i < 0 {
			out = append(out, img)
			continue
		}
		for _, t := range img.Tags {
			if !slices.Contains(out[i].Tags, t) {
				out[i].Tags = append(out[i].Tags, t)
			}
		}
	}
	return out
}
