package audit

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// The most that Check keeps of one file.
const (
	MaxLines    = 1 << 22
	MaxProblems = 100
)

// Checked is what Check has found.
type Checked struct {
	Lines    int       `json:"lines"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Head     string    `json:"head"` // the hash of the last line
	Problems []Problem `json:"problems,omitempty"`

	hashes map[string]int // line numbers by hash
	after  map[string]int // line numbers by prev
	blamed map[int]bool   // lines that a problem is about, from 0
}

// Problem is something that is wrong with the chain at a line of the file.
type Problem struct {
	Line int `json:"line"`
	reason
}

type reason struct {
	Code string `json:"code"`
	What string `json:"what"`
}

// After returns how many lines the file has after the one with the hash, and
// whether it has that line. No line has the hash Genesis.
func (c Checked) After(hash string) (lines int, found bool) {
	n, found := c.hashes[hash]
	return c.Lines - n, found
}

// Check reads a log to its end and follows the chain. What is wrong is in the
// result; an error means that it could not be read.
func Check(r io.Reader) (Checked, error) {
	records, err := read(r)
	if err != nil {
		return Checked{}, err
	}
	c := Checked{Lines: len(records), Head: Genesis}
	c.number(records)
	c.follow(records)
	for _, rec := range records {
		if rec.seq == 0 {
			continue
		}
		if c.First.IsZero() {
			c.First = rec.time
		}
		c.Last, c.Head = rec.time, rec.hash
	}
	return c, nil
}

// number notes where each line is, by its hash and by the one it continues; of
// a line that is there twice, the first.
func (c *Checked) number(records []record) {
	c.hashes, c.after = map[string]int{}, map[string]int{}
	for i, rec := range records {
		if _, again := c.hashes[rec.hash]; again || rec.err != nil {
			continue
		}
		c.hashes[rec.hash] = i + 1
		if _, taken := c.after[rec.prev]; !taken {
			c.after[rec.prev] = i + 1
		}
	}
}

// follow compares each line with the one before it. A line that continues a
// misplaced one is misplaced with it, and not told again.
func (c *Checked) follow(records []record) {
	want := record{hash: Genesis}
	c.blamed = map[int]bool{}
	for i, rec := range records {
		why, at := c.weigh(records, i, want)
		switch {
		case why.Code == "":
		case c.blamed[at]:
			c.blamed[i] = true
		case len(c.Problems) == MaxProblems:
			return
		default:
			c.blamed[at] = true
			c.Problems = append(c.Problems, Problem{at + 1, why})
		}
		switch {
		case why.Code == "audit_duplicated":
		case rec.err != nil: // its seq means nothing, and its hash is empty when it could not be read
			want = record{seq: want.seq + 1, hash: rec.hash}
		default:
			want = rec
		}
	}
}

// weigh says what is wrong at the line i, which should continue want, and with
// which line.
func (c *Checked) weigh(records []record, i int, want record) (why reason, at int) {
	rec := records[i]
	next := rec.seq == want.seq+1
	switch first := c.hashes[rec.hash]; {
	case rec.torn != "":
		return reason{"audit_torn", rec.torn}, i
	case errors.Is(rec.err, errChanged):
		return reason{"audit_changed", "the line was changed after it was written: " + rec.err.Error()}, i
	case rec.err != nil:
		return reason{"audit_malformed", rec.err.Error()}, i
	case first != i+1:
		return reason{"audit_duplicated", fmt.Sprintf("the line is line %d once more", first)}, i
	case next && (want.hash == "" || rec.prev == want.hash):
		return reason{}, i
	case rec.prev == want.hash:
		return reason{"audit_inserted", fmt.Sprintf("the line has seq %d where %d comes next: signgate has not written it", rec.seq, want.seq+1)}, i
	}
	if before, known := c.hashes[rec.prev]; known || rec.prev == Genesis {
		return c.misplaced(rec, i, before)
	}
	switch {
	case rec.seq > want.seq+1:
		return reason{"audit_removed", "before this line, " + missing(want.seq+1, rec.seq-1)}, i
	case next && i > 0 && (i+1 == len(records) || records[i+1].prev != want.hash):
		return reason{"audit_changed", fmt.Sprintf("line %d continues another line than this one: it was changed and hashed anew, or replaced", i+1)}, i - 1
	}
	return reason{"audit_inserted", "the line continues a line that is not in this file"}, i
}

// misplaced is about the line i, which continues the line before, a number, and
// does not stand after it.
func (c *Checked) misplaced(rec record, i, before int) (why reason, at int) {
	place := fmt.Sprintf("after line %d", before)
	switch {
	case before == 0 && i > 1 && c.after[rec.hash] == 0:
		return reason{"audit_inserted", "another log begins with this line"}, i
	case before == 0:
		place = "at the beginning"
	case c.blamed[before-1]:
		return reason{"audit_reordered", "the line belongs " + place}, before - 1
	}
	if follower := c.after[rec.hash]; before > i || follower > 0 && follower <= i {
		return reason{"audit_reordered", "the line belongs " + place}, i
	}
	return reason{"audit_inserted", fmt.Sprintf("line %d belongs %s: what stands between was put in, or moved there", i+1, place)}, i - 1
}

func missing(from, to int64) string {
	if from == to {
		return fmt.Sprintf("seq %d is missing", from)
	}
	return fmt.Sprintf("seq %d to %d are missing", from, to)
}
