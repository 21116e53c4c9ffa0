package contents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// compare compares a file with its entry, and reports whether it is of its type.
func (l *local) compare(e Entry, info fs.FileInfo) bool {
	l.compared++
	if t := typeOfMode(info.Mode()); t != e.Type {
		l.add(changed(e.Path, "it is a %s, and a %s was attested", t, e.Type))
		return false
	}
	if mode := modeOf(info.Mode()); e.Type != Symlink && mode != e.Mode {
		l.add(changed(e.Path, "its mode is %04o, and %04o was attested", mode, e.Mode))
	}
	switch e.Type {
	case Symlink:
		if target, err := l.root.Readlink(e.Path); err != nil {
			l.unreadable(e.Path, err)
		} else if target != e.Link {
			l.add(changed(e.Path, "it leads to %q, and %q was attested", target, e.Link))
		}
	case File:
		l.content(e, info)
	}
	return true
}

func (l *local) content(e Entry, info fs.FileInfo) {
	if info.Size() != e.Size {
		l.add(changed(e.Path, "it has %d bytes, and %d were attested", info.Size(), e.Size))
		return
	}
	sum, err := l.hash(e, info)
	switch {
	case l.ctx.Err() != nil: // nothing is said of this file
	case err != nil:
		l.unreadable(e.Path, err)
	case sum != e.SHA256:
		l.add(changed(e.Path, "its SHA-256 is %s, and %s was attested", sum, e.SHA256))
	}
}

// hash returns the SHA-256 of a file, of no more than its size, when it still is
// the one that was looked at.
func (l *local) hash(e Entry, info fs.FileInfo) (string, error) {
	f, err := l.root.OpenFile(e.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a pipe
	if err != nil {
		return "", err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return "", cmp.Or(err, errors.New("it was replaced meanwhile"))
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(heeding{l.ctx, f}, e.Size+1)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// heeding reads until its context ends.
type heeding struct {
	ctx context.Context
	io.Reader
}

func (h heeding) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.Reader.Read(p)
}

func typeOfMode(m fs.FileMode) Type {
	switch m.Type() {
	case 0:
		return File
	case fs.ModeDir:
		return Dir
	case fs.ModeSymlink:
		return Symlink
	case fs.ModeNamedPipe:
		return FIFO
	case fs.ModeDevice:
		return Block
	case fs.ModeDevice | fs.ModeCharDevice:
		return Char
	}
	return "socket"
}

// modeOf returns the twelve bits of a mode as in a list.
func modeOf(m fs.FileMode) uint32 {
	out := uint32(m.Perm())
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&flag != 0 {
			out |= bit
		}
	}
	return out
}
