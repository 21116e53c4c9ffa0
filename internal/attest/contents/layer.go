package contents

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/signgate/signgate/internal/fault"
)

// changes are what a layer does to the file system of those below.
type changes struct {
	hidden  []string // paths that whiteouts hide
	emptied []string // directories that lose all that they have below
	entries []Entry  // in the order of the archive, each path once
}

// reading is a layer on its way: packed bytes come from the source, are
// unpacked, hashed, and looked at.
type reading struct {
	ctx    context.Context
	layer  Layer
	share  share
	packed *source
	plain  io.Reader
	hash   hash.Hash // of what came out of plain
	err    error     // what the source or a bound said, which counts more than what a decoder makes of it
}

const bufferSize = 128 << 10

// readLayer reads a layer and checks it against its digests. It returns what it
// does to the files, when that is asked for.
func readLayer(ctx context.Context, src Source, l Layer, files bool, b *budget) (c changes, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := src.Blob(ctx, l.Digest, l.Size)
	if err != nil {
		return c, lasting(err)
	}
	defer body.Close()
	r := &reading{ctx: ctx, layer: l, share: share{of: b}, packed: &source{Reader: body}, hash: sha256.New()}
	end, err := r.unpack()
	if err == nil {
		c, err = r.read(files)
		cancel()
		end()
	}
	if err != nil {
		r.share.giveBack()
		return changes{}, r.fail(err)
	}
	return c, nil
}

func (r *reading) read(files bool) (c changes, err error) {
	buf := make([]byte, bufferSize)
	if files {
		if c, err = r.archive(buf); err != nil {
			return c, err
		}
	}
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, unpacked{r}, buf); err != nil { // to the ends, where the digests are known
		return c, err
	}
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, r.packed, buf); err != nil {
		r.err = err
		return c, err
	}
	if got := "sha256:" + hex.EncodeToString(r.hash.Sum(nil)); got != r.layer.DiffID {
		return c, fmt.Errorf("it unpacks to %s, and the config of the image has %s", got, r.layer.DiffID)
	}
	return c, nil
}

// fail returns the error of a layer that could not be read: what the source or a
// bound said, or else that the layer is wrong.
func (r *reading) fail(err error) error {
	if r.err != nil {
		return r.err
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return tooMuch("the layer %s needs a window of more than %d bytes to be unpacked", r.layer.Digest, maxWindow)
	}
	return badLayer(r.layer, err)
}

func badLayer(l Layer, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fault.Refusedf("contents_layer_invalid", "build the image again; if it is like that again, attest its layers alone", "the layer %s cannot be attested: %w", l.Digest, err)
}

// lasting makes an error one that lasts: the source has repeated what may pass.
func lasting(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	out := *f
	out.Transient = false
	return &out
}

// archive reads the entries of the archive.
func (r *reading) archive(buf []byte) (c changes, err error) {
	archive, sum := tar.NewReader(unpacked{r}), sha256.New()
	seen := names{share: &r.share, at: map[string]int{}, above: map[string]bool{}}
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // git archive writes a comment
			if err := checkRecords(h.PAXRecords); err != nil {
				return c, fmt.Errorf("what is said of all entries: %w", err)
			}
			continue
		}
		e, err := entryOf(h)
		if err == nil {
			err = r.share.takeEntry(len(e.Path) + len(e.Link))
		}
		if err == nil && e.Type == File {
			e.SHA256, err = hashed(archive, sum, buf)
		}
		if err == nil {
			err = c.add(e, seen)
		}
		if err != nil {
			return c, fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

func hashed(r io.Reader, sum hash.Hash, buf []byte) (string, error) {
	sum.Reset()
	if _, err := io.CopyBuffer(sum, r, buf); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// names are the paths that a layer has had so far.
type names struct {
	share *share
	at    map[string]int  // of the entries
	above map[string]bool // directories that have entries below
}

// note notes a path. Directories that no entry is for are counted as entries.
func (n names) note(p string, at int) error {
	n.at[p] = at
	for p != "." {
		if p = path.Dir(p); n.above[p] {
			return nil
		}
		n.above[p] = true
		if _, listed := n.at[p]; !listed {
			if err := n.share.takeEntry(0); err != nil {
				return err
			}
		}
	}
	return nil
}

// add notes an entry of the archive. One path twice is refused (layer.md: "MUST
// NOT include duplicate entries"), because unpackers take the first or the
// last; a directory that is there twice in the same way is one.
func (c *changes) add(e Entry, seen names) error {
	hidden, all, is, err := hides(e.Path)
	if err == nil && is {
		err = c.clear(e.Path, hidden, all, seen)
	}
	switch {
	case err != nil:
		return err
	case is && all:
		c.emptied = append(c.emptied, hidden)
		return nil
	case is:
		c.hidden = append(c.hidden, hidden)
		return nil
	}
	if i, twice := seen.at[e.Path]; twice {
		if e.Type == Dir && bytes.Equal(c.entries[i].appendLine(nil), e.appendLine(nil)) {
			return nil
		}
		return errors.New("it is in the layer twice")
	}
	c.entries = append(c.entries, e)
	return seen.note(e.Path, len(c.entries)-1)
}

// clear refuses a whiteout that comes after what it hides in its own layer, or
// after a link that leads to it: some unpackers hide it and some do not.
func (c *changes) clear(p, hidden string, all bool, seen names) error {
	if _, entry := seen.at[hidden]; entry && !all || seen.above[hidden] {
		return fmt.Errorf("it is a whiteout that comes after an entry of its own layer, at or below %q: whether it hides that depends on who unpacks it", hidden)
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if i, entry := seen.at[dir]; entry && c.entries[i].Type != Dir {
			return through(p, &node{entry: &c.entries[i]})
		}
	}
	return nil
}
