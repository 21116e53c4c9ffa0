package main

import (
	"bytes"
	"fmt"
	"os"
)

// The marks around the results in a page.
const (
	beginMark = "<!-- BEGIN run -->\n"
	endMark   = "<!-- END run -->"
)

// block is the part of a page that holds the results.
type block struct {
	path          string
	before, after []byte // of the page
	text          bytes.Buffer
}

// openBlock reads the page, so that a page without marks shows before anything
// is measured. Without a path there is no page.
func openBlock(path string) (*block, error) {
	b := &block{path: path}
	if path == "" {
		return b, nil
	}
	page, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before, rest, begins := bytes.Cut(page, []byte(beginMark))
	_, after, ends := bytes.Cut(rest, []byte(endMark))
	if !begins || !ends {
		return nil, fmt.Errorf("%s has no lines %q and %q", path, beginMark[:len(beginMark)-1], endMark)
	}
	b.before, b.after = before, after
	return b, nil
}

// write puts the results between the marks.
func (b *block) write() error {
	if b.path == "" {
		return nil
	}
	page := fmt.Sprintf("%s%s```text\n%s```\n%s%s", b.before, beginMark, b.text.Bytes(), endMark, b.after)
	return os.WriteFile(b.path, []byte(page), 0o644)
}
