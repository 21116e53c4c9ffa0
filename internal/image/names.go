package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// names are the members of manifests and configs that decide what an image is
// (OCI image-spec 1.1, manifest.md, image-index.md, config.md, descriptor.md).
var names = []string{
	"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
	"digest", "size", "urls", "data", "platform", "os", "architecture", "variant", "rootfs", "diff_ids",
}

// CheckNames returns an error when a member of the JSON in body has one of the
// names of a manifest or config in other letters, such as "Manifests": many
// programs, and all that read with Go's encoding/json, take it for the same, and
// the last of several wins. What is in the members skip is the user's own.
func CheckNames(body []byte, skip ...string) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); kind != '{' || n%2 == 0 {
			continue // no name
		}
		name := tok.String()
		like := func(known string) bool { return name != known && strings.EqualFold(name, known) }
		if i := slices.IndexFunc(names, like); i >= 0 && !slices.Contains(names, name) {
			return fmt.Errorf("it has the member %q, which some readers take for %q", name, names[i])
		}
		if slices.Contains(skip, name) {
			if err := dec.SkipValue(); err != nil {
				return err
			}
		}
	}
}
