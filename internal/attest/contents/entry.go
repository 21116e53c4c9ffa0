package contents

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Type is what a file is.
type Type string

// The types of files. A hard link is what it is a link to.
const (
	File    Type = "file"
	Dir     Type = "dir"
	Symlink Type = "symlink"
	Char    Type = "char"
	Block   Type = "block"
	FIFO    Type = "fifo"

	hardlink Type = "hardlink" // in a layer only
)

// Entry is one file of an image, and one line of a list.
type Entry struct {
	Path     string // relative to the root, which is "."; any bytes but NUL
	Type     Type
	Mode     uint32 // the permissions with the setuid, setgid and sticky bits; 0 for a symlink
	UID, GID uint32
	Size     int64  // bytes; of a file
	SHA256   string // 64 hex digits; of a file
	Link     string // the target of a symlink, as it stands there
	Device   string // "major:minor", of a device
}

// wire is an entry as it is read.
type wire struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes"`
	Type      Type   `json:"type"`
	Mode      string `json:"mode"`
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Link      string `json:"link"`
	LinkBytes []byte `json:"linkBytes"`
	Device    string `json:"device"`
}

// appendLine appends the one form that the entry has in a list, without a
// newline: members in this order, without spaces, strings as in RFC 8785.
func (e Entry) appendLine(b []byte) []byte {
	b = appendText(append(b, '{'), "path", e.Path)
	b = fmt.Appendf(b, `,"type":"%s"`, e.Type)
	if e.Type != Symlink {
		b = fmt.Appendf(b, `,"mode":"%04o"`, e.Mode)
	}
	b = fmt.Appendf(b, `,"uid":%d,"gid":%d`, e.UID, e.GID)
	switch e.Type {
	case File:
		b = fmt.Appendf(b, `,"size":%d,"sha256":"%s"`, e.Size, e.SHA256)
	case Symlink:
		b = appendText(append(b, ','), "link", e.Link)
	case Char, Block:
		b = fmt.Appendf(b, `,"device":"%s"`, e.Device)
	}
	return append(b, '}')
}

// appendText appends a member with a name of the file system. One that is not
// UTF-8, and so no JSON string, is written in base64 under another name.
func appendText(b []byte, name, text string) []byte {
	b = append(append(b, '"'), name...)
	if !utf8.ValidString(text) {
		b = append(b, `Bytes":"`...)
		return append(base64.StdEncoding.AppendEncode(b, []byte(text)), '"')
	}
	b, _ = jsontext.AppendQuote(append(b, `":`...), text) // it is UTF-8
	return b
}

// parseLine reads a line. It takes only what appendLine writes of an entry that
// an image can have, so that no two lines say the same.
func parseLine(line []byte) (Entry, error) {
	var w wire
	if err := json.Unmarshal(line, &w, json.RejectUnknownMembers(true)); err != nil {
		return Entry{}, err
	}
	e := Entry{Path: w.Path + string(w.PathBytes), Type: w.Type, UID: w.UID, GID: w.GID, Size: w.Size, SHA256: w.SHA256, Link: w.Link + string(w.LinkBytes), Device: w.Device}
	mode, err := strconv.ParseUint(w.Mode, 8, 12)
	if err != nil && e.Type != Symlink {
		return Entry{}, fmt.Errorf("its mode is %q", w.Mode)
	}
	e.Mode = uint32(mode)
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	if string(e.appendLine(nil)) != string(line) {
		return Entry{}, fmt.Errorf("it is not written as %s", e.appendLine(nil))
	}
	return e, nil
}

// check reports what no file of an image has.
func (e Entry) check() error {
	if path, err := cleanPath(e.Path); err != nil || path != e.Path {
		return fmt.Errorf("its path is %q", e.Path)
	}
	switch e.Type {
	case File:
		if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 || strings.ToLower(e.SHA256) != e.SHA256 || e.Size < 0 {
			return fmt.Errorf("its size is %d and its SHA-256 %q", e.Size, e.SHA256)
		}
	case Symlink:
		return checkLink(e.Link)
	case Char, Block:
		var major, minor uint32
		if n, err := fmt.Sscanf(e.Device, "%d:%d", &major, &minor); n != 2 || err != nil || device(int64(major), int64(minor)) != e.Device {
			return fmt.Errorf("its device is %q", e.Device)
		}
	case Dir, FIFO:
	default:
		return fmt.Errorf("its type is %q", e.Type)
	}
	return nil
}

func device(major, minor int64) string { return fmt.Sprintf("%d:%d", major, minor) }
