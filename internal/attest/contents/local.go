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
	"syscall"

	"github.com/signgate/signgate/internal/fault"
)

// MaxFindings is the most findings that a check returns; then it ends.
const MaxFindings = 10_000

// Local compares files below root, which stands for the root of the image, with
// the entries of a list, and returns how they differ and how many were compared.
// Each path is one of the image: a file, or a directory with all below it, so
// that what was added is found as well. What it leads to as a symbolic link is
// compared too. Nothing outside of root is looked at.
//
// Compared are the type, the mode, the size, the content, and the target of a
// symbolic link; owners and device numbers are not: they depend on who unpacked
// the image. What cannot be read is a finding that is undecided
// ("contents_unreadable").
func Local(ctx context.Context, root *os.Root, entries []Entry, paths []string) ([]Finding, int, error) {
	l := &local{ctx: ctx, root: root, entries: entries, seen: map[string]bool{}}
	for _, p := range paths {
		l.follow(p)
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
	case absent(err) && !listed && len(below) == 0:
		l.add(missing(p, "neither the image nor this machine has it"))
	case absent(err):
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

// absent reports that nothing is there, also because a file is above it.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
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

// follow compares a path, and what it leads to where it is a symbolic link of the
// image. A link that leads nowhere in the image and here is only a link.
func (l *local) follow(p string) {
	for hops := range maxHops + 1 {
		at, ok := l.resolve(p)
		if !ok || hops > 0 && l.nowhere(at) {
			return
		}
		l.visit(at)
		e, _ := l.entry(at)
		target, err := l.root.Readlink(at)
		if e.Type != Symlink || err != nil || target != e.Link {
			return
		}
		if p = strings.Trim(target, "/"); !path.IsAbs(target) {
			p = path.Dir(at) + "/" + p // not joined: .. is the directory above what a link leads to
		}
	}
}

func (l *local) nowhere(p string) bool {
	_, listed := l.entry(p)
	_, err := l.root.Lstat(p)
	return absent(err) && !listed && len(l.below(p)) == 0
}

// resolve returns the path that p stands for where it leads through symbolic links
// of the image, itself not followed. It notes a finding, and reports false, where a
// directory of the image is something else here.
func (l *local) resolve(p string) (string, bool) {
	at, rest, hops := ".", strings.Split(p, "/"), 0
	for len(rest) > 1 {
		part := rest[0]
		rest = rest[1:]
		next := inside(at, part)
		info, err := l.root.Lstat(next)
		e, listed := l.entry(next)
		if err != nil || info.IsDir() || listed && e.Type != Symlink && typeOfMode(info.Mode()) == e.Type {
			at = next // where nothing is there, or below it, visit says so
			continue
		}
		target, err := l.root.Readlink(next)
		if err != nil || !listed || target != e.Link {
			l.visit(next)
			return "", false
		}
		if hops++; hops > maxHops {
			l.unreadable(next, syscall.ELOOP)
			return "", false
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return inside(at, rest[0]), true
}

// inside returns the path of a part of a directory that no symbolic link leads
// to, so that .. is the directory above. That of the root is the root.
func inside(dir, part string) string {
	return path.Join(".", strings.TrimPrefix(path.Join("/", dir, part), "/"))
}
