package contents

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// usualLine is what most lines do not exceed, in bytes.
const usualLine = 220

// newFiles returns what stands for the entries, which are sorted, and their list.
// More than is read again is undecided ("limit_exceeded").
func newFiles(entries []Entry) (*Files, []byte, error) {
	if len(entries) > MaxFiles {
		return nil, nil, tooMuch("it has %d files, more than %d", len(entries), MaxFiles)
	}
	list := make([]byte, 0, min(len(entries)*usualLine, MaxList))
	var tree merkle
	for _, e := range entries {
		from := len(list)
		list = e.appendLine(list)
		tree.add(list[from:])
		if list = append(list, '\n'); len(list) > MaxList {
			return nil, nil, tooMuch("the list of its files has more than %d bytes", MaxList)
		}
	}
	return &Files{Tree: treeName, Root: tree.root(), Count: len(entries), List: Descriptor{ListType, image.DigestOf(list), int64(len(list))}}, list, nil
}

// Fetch gets the list from src and returns its entries, as Entries does.
func (f *Files) Fetch(ctx context.Context, src Source) (entries []Entry, err error) {
	err = again(ctx, "reading "+f.List.Digest, func(ctx context.Context) error {
		list, err := readAll(ctx, src, f.List)
		if err == nil {
			entries, err = f.Entries(list)
		}
		return err
	})
	return entries, err
}

// Entries returns the entries of a list, sorted by path, when it is the one that
// f names: by its digest and size, by the root of its tree, and by its form. Anything
// else is a refusal ("contents_list_invalid"). f is that of a signed predicate.
func (f *Files) Entries(list []byte) ([]Entry, error) {
	if got := image.DigestOf(list); got != f.List.Digest || int64(len(list)) != f.List.Size {
		return nil, badList("it has the digest %s and %d bytes, and %s and %d were signed", got, len(list), f.List.Digest, f.List.Size)
	}
	var tree merkle
	entries := make([]Entry, 0, min(f.Count, MaxFiles))
	for line := range bytes.Lines(list) {
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		e, err := parseLine(line)
		switch {
		case err != nil:
			return nil, badList("line %d: %w", len(entries)+1, err)
		case !ended || len(entries) == f.Count:
			return nil, badList("it has not the %d lines that were signed", f.Count)
		case len(entries) > 0 && entries[len(entries)-1].Path >= e.Path:
			return nil, badList("line %d: %q comes after %q", len(entries)+1, e.Path, entries[len(entries)-1].Path)
		}
		tree.add(line)
		entries = append(entries, e)
	}
	if len(entries) != f.Count || tree.root() != f.Root {
		return nil, badList("its %d lines have the root %s, and %d with %s were signed", len(entries), tree.root(), f.Count, f.Root)
	}
	return entries, nil
}

func badList(format string, args ...any) error {
	return fault.Refusedf("contents_list_invalid", "attest the contents again, and find out who wrote this", "the list of the files is not what was signed: "+format, args...)
}

// sortEntries sorts by the bytes of the path.
func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
}

// merkle makes the root of a tree from its leaves (RFC 6962 section 2.1), with
// the roots of its complete subtrees and no more in memory.
type merkle struct {
	roots []tlog.Hash // of the complete subtrees, the largest first
	n     int         // leaves
}

func (m *merkle) add(leaf []byte) {
	h := tlog.RecordHash(leaf)
	for n := m.n; n&1 == 1; n >>= 1 {
		last := len(m.roots) - 1
		h, m.roots = tlog.NodeHash(m.roots[last], h), m.roots[:last]
	}
	m.roots, m.n = append(m.roots, h), m.n+1
}

// root returns the root of the tree in hex. That of no leaves is the hash of
// nothing.
func (m *merkle) root() string {
	if m.n == 0 {
		sum := sha256.Sum256(nil)
		return hex.EncodeToString(sum[:])
	}
	last := len(m.roots) - 1
	h := m.roots[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(m.roots[i], h)
	}
	return hex.EncodeToString(h[:])
}
