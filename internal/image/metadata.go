package image

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/fault"
)

// MaxMetadata is the most metadata that is read, in bytes.
const MaxMetadata = 16 << 20

// target is what BuildKit says of one build: the metadata of
// docker/build-push-action, or one target of docker/bake-action.
type target struct {
	Name   string `json:"image.name"` // comma-separated references
	Digest string `json:"containerimage.digest"`
}

// fromMetadata reads build metadata, or bake metadata: an object with one such
// object for each target. Targets that made no image are left out.
func fromMetadata(data []byte) ([]Image, error) {
	targets, err := targets(data)
	if err != nil {
		return nil, err
	}
	var images []Image
	for _, label := range slices.Sorted(maps.Keys(targets)) {
		t := targets[label]
		if t.Name == "" {
			continue
		}
		if t.Digest == "" {
			return nil, fault.Configf("metadata_invalid", "push the image in the build step (push: true)", "the metadata of %sthe image %q has no containerimage.digest", label, t.Name)
		}
		list, err := fromList(strings.Split(t.Name, ","), t.Digest)
		if err != nil {
			return nil, err
		}
		images = append(images, list...)
	}
	if len(images) == 0 {
		return nil, fault.Configf("metadata_invalid", "give the build step tags and push: true, or set images and digest", "the metadata names no image (image.name)")
	}
	return images, nil
}

func targets(data []byte) (map[string]target, error) {
	var fields map[string]jsontext.Value
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fault.Configf("metadata_invalid", "pass the metadata output of docker/build-push-action or docker/bake-action unchanged",
			"the metadata is not a JSON object: %w", err)
	}
	if _, build := fields["containerimage.digest"]; build || fields["image.name"] != nil {
		fields = map[string]jsontext.Value{"": data}
	}
	out := map[string]target{}
	for label, value := range fields {
		if value.Kind() != '{' {
			continue // buildx.build.warnings and the like
		}
		var t target
		if err := json.Unmarshal(value, &t); err != nil {
			return nil, fault.Configf("metadata_invalid", "pass the metadata output unchanged", "the metadata of the target %q cannot be read: %w", label, err)
		}
		if label != "" {
			label = "the target " + label + ", "
		}
		out[label] = t
	}
	return out, nil
}
