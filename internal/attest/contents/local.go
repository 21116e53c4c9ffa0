package contents

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// MaxFindings is the most findings that a check returns; then it ends.
const MaxFindings = 10_000

// Local compares files below root, which stands for the root of the image, with
// the entries of a list, and returns how they differ and how many were compared.
// Each path is one of the image: a file, or a directory with all below it, so
// that what was added is found as well. Nothing outside of root is looked at.
//
// Compared are the type, the mode, the size, the content, and the target of a
// symbolic link; owners and device numbers are not: they depend on who unpacked
// the image. What cannot be read is a finding that is undecided
// ("contents_unreadable").
func Local(ctx context.Context, root *os.Root, entries []Entry, paths []string) ([]Finding, int, error) {
	l := &local{ctx: ctx, root: root, entries: entries, seen: map[string]bool{}}
	for _, p := range paths {
		if at, ok := l.resolve(p); ok {
			l.visit(at)
		}
	}
	if len(l.findings) > MaxFindings {
		l.findings = l.findings[:MaxFindings]
	}
	return l.findings, l.compared, ctx.Err()
}

// local is one comparison.
type local struct {
	ctx      context.Context
	root     *os.Root
	entries  []Entry
	seen     map[string]bool // paths that were compared
	compared int
	findings []Finding
}

func (l *local) add(f Finding) { l.findings = append(l.findings, f) }

func (l *local) unreadable(p string, err error) {
	l.add(fileFinding(p, fault.Undecidedf("contents_unreadable", "", "it cannot be read: %w", err)))
}

// visit compares a path, and what is below it here or in the list.
func (l *local) visit(p string) {
	if l.ctx.Err() != nil || len(l.findings) > MaxFindings || l.seen[p] {
		return
	}
	l.seen[p] = true
	e, listed := l.entry(p)
	below := l.below(p)
	info, err := l.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !listed && len(below) == 0:
		l.add(missing(p, "neither the image nor this machine has it"))
	case errors.Is(err, fs.ErrNotExist):
		l.add(missing(p, "it was attested, with %d files below it, and is not there", len(below)))
	case err != nil:
		l.unreadable(p, err)
	case !listed && len(below) == 0:
		l.add(added(p, typeOfMode(info.Mode())))
	case !listed && !info.IsDir():
		l.add(changed(p, "it is a %s, and a directory was attested", typeOfMode(info.Mode())))
	case !listed || l.compare(e, info):
		if info.IsDir() {
			l.children(p, below)
		}
	}
}

// children visits what a directory has here and in the list.
func (l *local) children(p string, below []Entry) {
	names := map[string]bool{}
	for i := 0; i < len(below); {
		name, _, deeper := strings.Cut(strings.TrimPrefix(below[i].Path, prefixOf(p)), "/")
		names[name] = true
		if i++; deeper { // "0" follows "/": that is behind all that is below the name
			i += sort.Search(len(below)-i, func(j int) bool { return below[i+j].Path >= prefixOf(p)+name+"0" })
		}
	}
	dir, err := l.root.Open(p)
	if err != nil {
		l.unreadable(p, err)
		return
	}
	found, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		l.unreadable(p, err)
		return
	}
	for _, name := range found {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		l.visit(path.Join(p, name))
	}
}

// entry returns the entry of a path.
func (l *local) entry(p string) (Entry, bool) {
	i, found := slices.BinarySearchFunc(l.entries, p, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	if !found {
		return Entry{}, false
	}
	return l.entries[i], true
}

// below returns the entries below a path.
func (l *local) below(p string) []Entry {
	if p == "." {
		if i, root := slices.BinarySearchFunc(l.entries, p, func(e Entry, p string) int { return strings.Compare(e.Path, p) }); root {
			return slices.Delete(slices.Clone(l.entries), i, i+1)
		}
		return l.entries
	}
	at := func(text string) int {
		return sort.Search(len(l.entries), func(i int) bool { return l.entries[i].Path >= text })
	}
	return l.entries[at(p+"/"):at(p+"0")]
}

func prefixOf(p string) string {
	if p == "." {
		return ""
	}
	return p + "/"
}

// maxHops is the most symbolic links that a path may lead through, as in Linux.
const maxHops = 40

// resolve returns the path that p stands for where it leads through symbolic links
// of the image. It notes a finding, and reports false, where a directory of the
// image is something else here.
func (l *local) resolve(p string) (string, bool) {
	at, rest, hops := ".", strings.Split(p, "/"), 0
	for len(rest) > 1 {
		part := rest[0]
		rest = rest[1:]
		next := path.Join(at, part) // at has no symbolic link left, so .. is the directory above
		if part == ".." {
			next = strings.TrimPrefix(path.Join("/", at, ".."), "/")
			next = path.Join(".", next)
		}
		info, err := l.root.Lstat(next)
		if err != nil || info.IsDir() {
			at = next
			continue
		}
		e, listed := l.entry(next)
		target, err := l.root.Readlink(next)
		if err != nil || !listed || target != e.Link || hops == maxHops {
			l.visit(next)
			return "", false
		}
		hops++
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return path.Join(at, rest[0]), true
}
