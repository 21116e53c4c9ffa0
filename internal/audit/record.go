package audit

import (
	"bufio"
	"bytes"
	"io"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// record is what is kept of a line.
type record struct {
	seq        int64 // 0 for what is no line of a log
	time       time.Time
	prev, hash string
	err        error
	torn       string // what it lacks at its end
}

func read(r io.Reader) ([]record, error) {
	var out []record
	for b := bufio.NewReaderSize(r, MaxLine+1); ; {
		line, err := b.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			line = nil // the rest is passed over
			_, err = b.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, fault.Undecidedf("audit_unreadable", "check the disk, and run again", "reading line %d: %w", len(out)+1, err)
		}
		if err == io.EOF && len(line) == 0 && !long {
			return out, nil
		}
		if len(out) == MaxLines {
			return nil, fault.Undecidedf("audit_too_long", "split the file", "it has more than %d lines", MaxLines)
		}
		e, hash, bad := decode(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case err != io.EOF:
			out = append(out, record{seq: e.Seq, time: e.Time, prev: e.Prev, hash: hash, err: bad})
		case bad != nil:
			out = append(out, record{torn: "the line was not written to its end", err: bad})
		default:
			out = append(out, record{seq: e.Seq, time: e.Time, prev: e.Prev, hash: hash, torn: "the line is whole, and only its line break is missing"})
		}
	}
}
