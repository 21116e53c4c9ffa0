package contents

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// tree is the file system that layers make, one after the other.
type tree struct {
	root  node
	nodes int // how many were made, those that are gone included
}

// node is a file, or a directory that no layer describes and whose children make
// it.
type node struct {
	entry    *Entry // nil for such a directory
	layer    int    // that the entry is of
	order    int    // of the entry in the archive of its layer
	children map[string]*node
}

func (n *node) isDir() bool { return n.entry == nil || n.entry.Type == Dir }

// apply does to the file system what a layer says: whiteouts hide what layers
// below have and nothing of their own, before which they are in the archive
// (layer.md, "Whiteouts"), then entries replace what has their path, and hard links become what they link to.
func (t *tree) apply(layer int, c changes) error {
	for _, dir := range c.emptied {
		if n, err := t.find(dir); err != nil {
			return err
		} else if n != nil {
			n.children = nil
		}
	}
	for _, p := range c.hidden {
		if err := t.remove(p); err != nil {
			return err
		}
	}
	for _, i := range c.order() {
		if err := t.put(node{entry: &c.entries[i], layer: layer, order: i}); err != nil {
			return fmt.Errorf("%q: %w", c.entries[i].Path, err)
		}
	}
	return nil
}

// order returns the entries in the order in which they are put: a directory
// before what is in it, and links last, as they are in the archive.
func (c changes) order() []int {
	out := make([]int, len(c.entries))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int {
		x, y := &c.entries[a], &c.entries[b]
		if x.Type == hardlink || y.Type == hardlink {
			return cmp.Or(cmp.Compare(last(x), last(y)), cmp.Compare(a, b))
		}
		return strings.Compare(x.Path, y.Path)
	})
	return out
}

func last(e *Entry) int {
	if e.Type == hardlink {
		return 1
	}
	return 0
}

// put puts a file to its path. A directory that replaces a directory keeps what
// is in it; anything else takes the place of what was there, with all below.
func (t *tree) put(n node) error {
	if n.entry.Type == hardlink {
		linked, err := t.linked(n)
		if err != nil {
			return err
		}
		n.entry = linked
	}
	old, err := t.make(n.entry.Path)
	if err != nil {
		return err
	}
	if n.entry.Type == Dir && old.isDir() {
		n.children = old.children
	} else if n.entry.Path == "." {
		return errors.New("the root is no directory")
	}
	*old = n
	return nil
}

// linked returns the file that a hard link is: what its target is at that point of
// the archive. Where unpackers may find another one or none, it is an error; so is a
// link with a mode or an owner of its own, which some of them give to the file
// with all its names.
func (t *tree) linked(link node) (*Entry, error) {
	target, err := t.find(link.entry.Link)
	switch {
	case err != nil:
		return nil, err
	case target == nil || target.isDir():
		return nil, fmt.Errorf("it is a hard link to %q, which is no file", link.entry.Link)
	case target.layer == link.layer && target.order > link.order:
		return nil, fmt.Errorf("it is a hard link to %q, which comes after it", link.entry.Link)
	}
	e := *target.entry
	if l := link.entry; l.Mode != e.Mode && e.Type != Symlink || l.UID != e.UID || l.GID != e.GID {
		return nil, fmt.Errorf("it is a hard link of %d:%d with the mode %04o to %q of %d:%d with %04o: which of them counts depends on who unpacks it", l.UID, l.GID, l.Mode, e.Path, e.UID, e.GID, e.Mode)
	}
	e.Path = link.entry.Path
	return &e, nil
}

// find returns the node of a path, and nil when there is none. A path that leads
// through something else than directories is an error: some unpackers follow a
// symbolic link there, and some replace it.
func (t *tree) find(p string) (*node, error) {
	n := &t.root
	if p == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(p, "/") {
		if !n.isDir() {
			return nil, through(p, n)
		}
		if n = n.children[part]; n == nil {
			return nil, nil
		}
	}
	return n, nil
}

// make is find, and makes what is not there yet.
func (t *tree) make(p string) (*node, error) {
	n := &t.root
	if p == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(p, "/") {
		if !n.isDir() {
			return nil, through(p, n)
		}
		next := n.children[part]
		if next == nil {
			if t.nodes++; t.nodes > maxEntries {
				return nil, tooMuch("its file system has more than %d files", maxEntries)
			}
			if n.children == nil {
				n.children = map[string]*node{}
			}
			next = &node{}
			n.children[part] = next
		}
		n = next
	}
	return n, nil
}

func through(p string, n *node) error {
	return fmt.Errorf("the path %q leads through %q, which is a %s: where it ends depends on who unpacks it", p, n.entry.Path, n.entry.Type)
}

// remove removes a path with all below it, where there is one.
func (t *tree) remove(p string) error {
	dir, base := path.Split(p)
	n, err := t.find(path.Clean(dir))
	if err != nil || n == nil {
		return err
	}
	if !n.isDir() {
		return through(p, n)
	}
	delete(n.children, base)
	return nil
}

// entries returns all files, sorted by path.
func (t *tree) entries() []Entry {
	out := make([]Entry, 0, t.nodes+1)
	var walk func(n *node)
	walk = func(n *node) {
		if n.entry != nil {
			out = append(out, *n.entry)
		}
		for _, child := range n.children {
			walk(child)
		}
	}
	walk(&t.root)
	sortEntries(out)
	return out
}
