package contents

import (
	"fmt"
	"slices"

	"github.com/signgate/signgate/internal/fault"
)

// Finding is a difference between what was attested and what is there.
type Finding struct {
	Outcome fault.Outcome `json:"-"`
	Code    string        `json:"code"`            // stable, listed in docs/errors.md
	Path    string        `json:"-"`               // any bytes, as in Entry
	Layer   string        `json:"layer,omitempty"` // a digest
	Fact    string        `json:"fact"`
}

// CompareLayers returns how the layers of found differ from those that were
// attested.
func (c Contents) CompareLayers(found Contents) (out []Finding) {
	if len(c.Layers) == len(found.Layers) {
		for i, l := range c.Layers {
			if got := found.Layers[i]; got != l {
				out = append(out, layerFinding(got, fault.Refusedf("contents_layer_changed", "", "layer %d is %s, and %s was attested", i+1, got, l)))
			}
		}
		return out
	}
	for i, l := range c.Layers {
		if !slices.Contains(found.Layers, l) {
			out = append(out, layerFinding(l, fault.Refusedf("contents_layer_missing", "", "layer %d that was attested, %s, is not in the image", i+1, l)))
		}
	}
	for i, l := range found.Layers {
		if !slices.Contains(c.Layers, l) {
			out = append(out, layerFinding(l, fault.Refusedf("contents_layer_added", "", "layer %d of the image, %s, was not attested", i+1, l)))
		}
	}
	if len(out) == 0 { // the same one more than once
		out = append(out, layerFinding(Layer{}, fault.Refusedf("contents_layer_changed", "", "the image has %d layers, and %d were attested", len(found.Layers), len(c.Layers))))
	}
	return out
}

func layerFinding(l Layer, f *fault.Error) Finding {
	return Finding{Outcome: f.Outcome, Code: f.Code, Layer: l.Digest, Fact: f.What}
}

func fileFinding(path string, f *fault.Error) Finding {
	return Finding{Outcome: f.Outcome, Code: f.Code, Path: path, Fact: f.What}
}

// String returns the layer with all that is known of it.
func (l Layer) String() string {
	return fmt.Sprintf("%s (%s, %d bytes, diff ID %s)", l.Digest, l.MediaType, l.Size, l.DiffID)
}

// CompareFiles returns how found differs from what was attested, up to MaxFindings.
// Both are sorted by path.
func CompareFiles(attested, found []Entry) (out []Finding) {
	for len(out) < MaxFindings && (len(attested) > 0 || len(found) > 0) {
		switch {
		case len(found) == 0 || len(attested) > 0 && attested[0].Path < found[0].Path:
			out = append(out, missing(attested[0].Path, "it was attested, and is not there"))
			attested = attested[1:]
		case len(attested) == 0 || found[0].Path < attested[0].Path:
			out = append(out, added(found[0].Path, found[0].Type))
			found = found[1:]
		default:
			if attested[0] != found[0] {
				out = append(out, changed(attested[0].Path, "it is %s, and %s was attested", found[0].appendLine(nil), attested[0].appendLine(nil)))
			}
			attested, found = attested[1:], found[1:]
		}
	}
	return out
}

func changed(path, format string, args ...any) Finding {
	return fileFinding(path, fault.Refusedf("contents_changed", "", format, args...))
}

func missing(path, format string, args ...any) Finding {
	return fileFinding(path, fault.Refusedf("contents_missing", "", format, args...))
}

func added(path string, t Type) Finding {
	return fileFinding(path, fault.Refusedf("contents_added", "", "it is there (%s), and was not attested", t))
}
