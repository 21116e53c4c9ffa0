package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/signgate/signgate/internal/fault"
)

// Log is an audit log that can be added to. It is not open between calls: other
// processes may add to it, too.
type Log struct{ path string }

// Open makes the file if there is none, and finds out whether lines can be
// added: the file can be written to and locked, and its last line is whole and
// has its hash. It writes nothing. ctx bounds the wait for the lock.
func Open(ctx context.Context, path string) (*Log, error) {
	f, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, _, _, err = last(f, path); err != nil {
		return nil, err
	}
	return &Log{path}, nil
}

// Append adds a line for each entry, and returns when they are on the disk, with
// the hash of the last line. With an error it takes away what it has written. A
// process that is killed, or a machine that stops, within a write of several lines
// can leave some of them whole, and a torn one after them.
func (l *Log) Append(ctx context.Context, entries ...Entry) (head string, err error) {
	f, err := lock(ctx, l.path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	seq, head, size, err := last(f, l.path)
	if err != nil {
		return "", err
	}
	var lines []byte
	for _, e := range entries {
		seq++
		e = e.clip()
		e.Version, e.Seq, e.Prev, e.Time = Version, seq, head, time.Now().UTC().Truncate(time.Millisecond)
		line, hash, err := encode(e)
		if err != nil {
			return "", unwritable(l.path, err)
		}
		lines, head = append(append(lines, line...), '\n'), hash
	}
	if err := add(f, lines, size); err != nil {
		return "", unwritable(l.path, err)
	}
	return head, nil
}

// add writes at the end. What this process could not write to its end, as on a
// full disk, it takes away again.
func add(f *lockedfile.File, lines []byte, size int64) error {
	_, err := f.WriteAt(lines, size)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, f.Truncate(size), f.Sync())
}

// last returns seq and hash of the last line, and the size of the file.
func last(f *lockedfile.File, path string) (seq int64, hash string, size int64, err error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no plain file")
	}
	if err != nil {
		return 0, "", 0, unwritable(path, err)
	}
	if size = info.Size(); size == 0 {
		syncFolder(path)
		return 0, Genesis, 0, nil
	}
	tail := make([]byte, min(size, MaxLine+2))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, "", 0, unwritable(path, err)
	}
	start := bytes.LastIndexByte(tail[:len(tail)-1], '\n') + 1
	if tail[len(tail)-1] != '\n' && (start > 0 || len(tail) == int(size)) {
		return 0, "", 0, torn(path, tail[start:], size-int64(len(tail)-start))
	}
	e, hash, err := decode(tail[start : len(tail)-1])
	if err != nil {
		return 0, "", 0, fault.Configf("audit_broken", "keep the file, run signgate audit check on it, and begin a new one when you know what happened",
			"nothing is added to the audit log %s, because of its last line: %w", path, err)
	}
	return e.Seq, hash, size, nil
}

// torn is about a last line without a line break. What says all that was written
// is not to be cut off.
func torn(path string, line []byte, good int64) error {
	if _, _, err := decode(line); err == nil {
		return fault.Configf("audit_torn", "keep a copy, find out what took the line break away, and then put it back: printf '\\n' >> "+quote(path),
			"the last line of the audit log %s is whole, and only its line break is missing", path)
	}
	return fault.Configf("audit_torn", fmt.Sprintf("keep a copy, find out what stopped the writer, and then cut the file to its whole lines: truncate -s %d %s", good, quote(path)),
		"the last line of the audit log %s was not written to its end", path)
}

// quote returns a path for a POSIX shell (IEEE Std 1003.1, 2.2.2), and FILE for one
// that would not be printed as it is.
func quote(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(path) {
		return "FILE"
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func unwritable(path string, err error) error {
	return fault.Configf("audit_unwritable", "give a file that this step may write to, in a folder that exists", "the audit log %s cannot be written: %w", path, err)
}

// syncFolder makes a new name in a folder last. Not every system can.
func syncFolder(path string) {
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
