package contents

import (
	"archive/tar"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// whiteout begins the name of a file that hides another one of the layers below
// (layer.md, "Whiteouts"); opaque hides all that its directory has there.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// entryOf returns the entry that a header stands for, without its content. Hostile
// and ambiguous ones are errors, which say what is wrong with it.
func entryOf(h *tar.Header) (e Entry, err error) {
	if err := checkRecords(h.PAXRecords); err != nil {
		return e, err
	}
	if e.Type, err = typeOf(h); err != nil {
		return e, err
	}
	if e.Path, err = cleanPath(h.Name); err != nil {
		return e, err
	}
	if h.Uid < 0 || h.Gid < 0 || h.Uid > math.MaxUint32 || h.Gid > math.MaxUint32 {
		return e, fmt.Errorf("its owner is %d:%d", h.Uid, h.Gid)
	}
	e.UID, e.GID, e.Mode = uint32(h.Uid), uint32(h.Gid), uint32(h.Mode&0o7777)
	if e.Type != Dir && (e.Path == "." || strings.HasSuffix(h.Name, "/")) {
		return e, errors.New("it is named as a directory and is none")
	}
	if _, stated := h.PAXRecords["size"]; e.Type != File && (stated || h.Size != 0) {
		return e, fmt.Errorf("it has a size and is no file: whether %d bytes of content follow depends on who unpacks it", h.Size)
	}
	switch e.Type {
	case File:
		e.Size = h.Size
	case Symlink:
		e.Mode, e.Link = 0, h.Linkname
		err = checkLink(e.Link)
	case hardlink:
		e.Link, err = cleanPath(h.Linkname)
	case Char, Block:
		e.Device, err = deviceOf(h)
	}
	return e, err
}

// checkRecords refuses the PAX records by which an entry means something else to
// some unpackers.
func checkRecords(records map[string]string) error {
	for key := range records {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return errors.New("it is a sparse file, which not all programs unpack")
		}
		name, found := strings.CutPrefix(key, "SCHILY.xattr.")
		if !found {
			if name, found = strings.CutPrefix(key, "LIBARCHIVE.xattr."); found {
				name = unescape(name)
			}
		}
		if found && slices.ContainsFunc(overlays, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return fmt.Errorf("it has the extended attribute %q, by which overlayfs hides or changes files where it is kept", name)
		}
	}
	return nil
}

// overlays begin the extended attributes by which file systems of layers hide,
// rename and redirect files, or change their modes and owners
// (https://docs.kernel.org/filesystems/overlayfs.html, fuse-overlayfs(1)).
var overlays = []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.", "security.fuseoverlayfs.", "user.containers.override_stat"}

// unescape decodes %2E and the like as libarchive does: what is malformed stays.
func unescape(s string) string {
	var b strings.Builder
	for ; s != ""; s = s[1:] {
		if s[0] == '%' && len(s) > 2 {
			if c, err := hex.DecodeString(s[1:3]); err == nil {
				b.WriteByte(c[0])
				s = s[2:]
				continue
			}
		}
		b.WriteByte(s[0])
	}
	return b.String()
}

func typeOf(h *tar.Header) (Type, error) {
	switch h.Typeflag {
	case tar.TypeReg:
		return File, nil
	case tar.TypeDir:
		return Dir, nil
	case tar.TypeSymlink:
		return Symlink, nil
	case tar.TypeLink:
		return hardlink, nil
	case tar.TypeChar:
		return Char, nil
	case tar.TypeBlock:
		return Block, nil
	case tar.TypeFifo:
		return FIFO, nil
	}
	return "", fmt.Errorf("its type is %q, which not all programs unpack", h.Typeflag)
}

// deviceOf refuses the device that overlayfs takes for a whiteout
// (https://docs.kernel.org/filesystems/overlayfs.html): whether it hides a file
// depends on who unpacks it.
func deviceOf(h *tar.Header) (string, error) {
	if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor > math.MaxUint32 || h.Devminor > math.MaxUint32 {
		return "", fmt.Errorf("its device is %s", device(h.Devmajor, h.Devminor))
	}
	if h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 {
		return "", errors.New("it is the device 0:0, which some programs take for a whiteout")
	}
	return device(h.Devmajor, h.Devminor), nil
}

// cleanPath returns a path of an archive as it is in a list: relative to the
// root of the image, without empty parts and ".". An absolute path is one below
// that root, as all programs have it. Hostile paths are errors.
func cleanPath(name string) (string, error) {
	if len(name) > maxPath || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("its path has %d bytes, or a NUL, and may have %d without", len(name), maxPath)
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		if depth++; part == ".." || len(part) > maxName || depth > maxDepth {
			return "", errors.New("its path leads up by .., or has a part or a depth that no system takes")
		}
	}
	if clean := strings.TrimPrefix(path.Clean("/"+name), "/"); clean != "" {
		return clean, nil
	}
	return ".", nil
}

func checkLink(target string) error {
	if target == "" || len(target) > maxPath || strings.Contains(target, "\x00") {
		return fmt.Errorf("its target is empty, or has more than %d bytes, or a NUL", maxPath)
	}
	return nil
}

// hides returns what a path hides in the layers below, if it is a whiteout: the
// path itself, or all that is in a directory. One that is not exactly as the
// specification has it, unpackers take for different things.
func hides(p string) (hidden string, all, is bool, err error) {
	dir, base := path.Split(p)
	switch name, found := strings.CutPrefix(base, whiteout); {
	case strings.HasPrefix(dir, whiteout) || strings.Contains(dir, "/"+whiteout):
		return "", false, false, errors.New("it is below a whiteout")
	case base == opaque:
		return path.Clean(dir), true, true, nil
	case !found:
		return "", false, false, nil
	case name == "" || name == "." || name == ".." || strings.HasPrefix(name, whiteout):
		return "", false, false, errors.New("it is a whiteout of nothing that has a name")
	default:
		return dir + name, false, true, nil
	}
}
