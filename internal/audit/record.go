package audit

import (
	"bufio"
	"errors"
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
	torn       bool // it has no end
}

func read(r io.Reader) ([]record, error) {
	var out []record
	for b := bufio.NewReaderSize(r, MaxLine+1); ; {
		line, err := b.ReadSlice('\n')
		for err == bufio.ErrBufferFull {
			line = nil // too long: the rest is passed over
			_, err = b.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, fault.Undecidedf("audit_unreadable", "check the disk, and run again", "reading line %d: %w", len(out)+1, err)
		}
		if err == io.EOF && len(line) == 0 {
			return out, nil
		}
		if len(out) == MaxLines {
			return nil, fault.Undecidedf("audit_too_long", "split the file", "it has more than %d lines", MaxLines)
		}
		if err == io.EOF {
			out = append(out, record{torn: true, err: errors.New("it has no end")})
			continue
		}
		e, hash, err := decode(line[:max(len(line)-1, 0)])
		out = append(out, record{seq: e.Seq, time: e.Time, prev: e.Prev, hash: hash, err: err})
	}
}
