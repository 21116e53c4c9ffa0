// Package layout reads and writes OCI image layouts, and stands in for a
// registry that has what is in one.
//
// A layout is a folder with oci-layout, index.json and blobs/sha256/<hex>
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
// Here it is the fixture of a test of a policy: the manifests of one image, its
// signatures and what else refers to it. The layers of the image are not needed.
//
// Nothing in a layout is believed: whoever reads through it hashes what comes,
// as with a registry.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// refName is the annotation that gives a manifest of index.json its tag.
const refName = "org.opencontainers.image.ref.name"

// maxManifest is the most that a manifest or index.json may have, in bytes.
const maxManifest = 4 << 20

// Layout is a layout in a folder. It may be read by several callers at a time,
// and written by one.
type Layout struct {
	dir   string
	index index
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// descriptor is an OCI content descriptor.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Open reads the index of a layout. A folder that is none is a configuration
// fault ("layout_invalid").
func Open(dir string) (*Layout, error) {
	l := &Layout{dir: dir}
	body, err := read(filepath.Join(dir, "index.json"))
	if err == nil {
		err = json.Unmarshal(body, &l.index)
	}
	if err != nil {
		return nil, fault.Configf("layout_invalid", "make it with signgate policy test --record", "%s is no OCI image layout: %w", dir, err)
	}
	return l, nil
}

// Create returns the layout in a folder, or an empty one where there is none.
func Create(dir string) (*Layout, error) {
	if _, err := os.Stat(filepath.Join(dir, "index.json")); errors.Is(err, fs.ErrNotExist) {
		return &Layout{dir: dir, index: index{SchemaVersion: 2, MediaType: image.OCIIndex, Manifests: []descriptor{}}}, nil
	}
	return Open(dir)
}

// Blob adds content that a manifest names.
func (l *Layout) Blob(body []byte) error {
	path := l.path(image.DigestOf(body))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// Manifest adds a manifest. The tag, which may be "", points to it and to no
// other any more.
func (l *Layout) Manifest(mediaType string, body []byte, tag string) error {
	d := descriptor{MediaType: mediaType, Digest: image.DigestOf(body), Size: int64(len(body))}
	same := func(o descriptor) bool { return o.Digest == d.Digest }
	switch {
	case tag != "":
		d.Annotations = map[string]string{refName: tag}
	case slices.ContainsFunc(l.index.Manifests, same):
		return nil
	}
	l.index.Manifests = append(slices.DeleteFunc(l.index.Manifests, func(o descriptor) bool {
		return tag != "" && o.tag() == tag || o.tag() == "" && same(o)
	}), d)
	return l.Blob(body)
}

// Save writes what makes the folder a layout.
func (l *Layout) Save() error {
	body, err := json.MarshalIndent(l.index, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, "index.json"), append(body, '\n'), 0o644)
}

func (d descriptor) tag() string { return d.Annotations[refName] }

// path is the file of a digest that has the form of one.
func (l *Layout) path(digest string) string {
	return filepath.Join(l.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// read returns a file that is not larger than a manifest may be.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(body) > maxManifest {
		err = errors.New("it is too large")
	}
	return body, err
}
