// Package contents says what an image holds: its layers and, on request, every
// file of the file system that they make, so that a layer or a file can be
// checked later.
//
// A predicate names the layers, and the files by the root of a Merkle tree and
// by the digest of their list. The list is an artifact of its own, one line of
// JSON for each file: a check reads a small signed predicate and one blob.
// docs/predicates/contents.md specifies both.
//
// Layers follow https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md.
// Where that leaves room, so that the programs that unpack images differ, nothing is
// said of the image: it is refused. Nothing that is read here is believed: every
// size, count and depth has a bound, and layers are never in memory as a whole.
package contents

import (
	"context"
	"io"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// ListType is the media type of a list, and the artifact type under which it is
// attached to its image.
const ListType = "application/vnd.signgate.contents.v1+jsonl"

// treeName is the one kind of tree: RFC 6962 section 2.1 with SHA-256, over
// the lines of the list without their newlines.
const treeName = "rfc6962-sha256"

// The bounds of a list.
const (
	MaxList  = 64 << 20 // bytes
	MaxFiles = 500_000
)

// Source opens what a manifest names.
type Source interface {
	// Blob opens the content with a digest and a size in bytes. Its Read returns
	// io.EOF only after that content, whole and unchanged; a failure that may pass
	// is a transient fault, after which it is opened again. The end of ctx ends a
	// Read that waits. It is called for several blobs at a time.
	Blob(ctx context.Context, digest string, size int64) (io.ReadCloser, error)
}

// Contents are what an image holds, and the body of the predicate.
type Contents struct {
	Platform string  `json:"platform,omitzero"` // "linux/arm64/v8", as the config of the image has it
	Layers   []Layer `json:"layers"`            // the lowest first
	Files    *Files  `json:"files,omitzero"`    // nil when only the layers were asked for

	// List has the lines of the files, in a Contents that Read has made.
	List []byte `json:"-"`
}

// Layer is one layer of an image.
type Layer struct {
	Digest    string `json:"digest"` // of the blob
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`   // of the blob, bytes
	DiffID    string `json:"diffId"` // the digest of the archive, uncompressed
}

// Files stand for all files of an image.
type Files struct {
	Tree  string     `json:"tree"` // "rfc6962-sha256"
	Root  string     `json:"root"` // 64 hex digits
	Count int        `json:"count"`
	List  Descriptor `json:"list"`
}

// Descriptor names the blob that has the list.
type Descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"` // bytes
}

// Predicate returns the predicate that says c. The list has to be attached to
// the image before it is signed.
func (c Contents) Predicate() (attest.Predicate, error) {
	body, err := attest.Of(c)
	return attest.Predicate{Type: attest.Contents, Body: body}, err
}

// Parse reads the body of a predicate. What is not as this package makes it is a
// refusal ("contents_predicate_invalid").
func Parse(body []byte) (Contents, error) {
	var c Contents
	if image.Crowded(body) {
		return Contents{}, badPredicate("it has too many values")
	}
	if err := json.Unmarshal(body, &c, json.RejectUnknownMembers(true)); err != nil {
		return Contents{}, badPredicate("it is not of the form of this version: %w", err)
	}
	if slices.ContainsFunc(c.Layers, func(l Layer) bool {
		return image.CheckDigest(l.Digest) != nil || image.CheckDigest(l.DiffID) != nil || l.Size < 0
	}) {
		return Contents{}, badPredicate("one of its layers has no digest or no size")
	}
	return c, c.Files.check()
}

func (f *Files) check() error {
	switch {
	case f == nil:
		return nil
	case f.Tree != treeName || f.List.MediaType != ListType:
		return badPredicate("its files are a tree %q of a list %q, and this signgate reads %s of %s", f.Tree, f.List.MediaType, treeName, ListType)
	case image.CheckDigest("sha256:"+f.Root) != nil || image.CheckDigest(f.List.Digest) != nil:
		return badPredicate("its root or its list has no digest")
	case f.Count < 0 || f.Count > MaxFiles || f.List.Size < 0 || f.List.Size > MaxList:
		return badPredicate("its list has %d lines and %d bytes, and at most %d and %d are read", f.Count, f.List.Size, MaxFiles, MaxList)
	}
	return nil
}

func badPredicate(format string, args ...any) error {
	return fault.Refusedf("contents_predicate_invalid", "attest the contents again, and find out who signed this", "the predicate of the contents cannot be used: "+format, args...)
}
