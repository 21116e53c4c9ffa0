package main

import (
	"bytes"
	"fmt"
	"os"
)

// The marks around the results in a page.
const (
	beginMark = "<!-- BEGIN hsm -->\n"
	endMark   = "<!-- END hsm -->"
)

// page is a page without its results. The zero page is none.
type page struct {
	path          string
	before, after []byte
}

// openPage reads the page, so that one without marks shows before anything is
// measured.
func openPage(path string) (page, error) {
	if path == "" {
		return page{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return page{}, err
	}
	before, rest, begins := bytes.Cut(text, []byte(beginMark))
	_, after, ends := bytes.Cut(rest, []byte(endMark))
	if !begins || !ends {
		return page{}, fmt.Errorf("%s has no place for the results", path)
	}
	return page{path, before, after}, nil
}

// write puts the results between the marks.
func (p page) write(results string) error {
	if p.path == "" {
		return nil
	}
	text := fmt.Sprintf("%s%s```text\n%s```\n%s%s", p.before, beginMark, results, endMark, p.after)
	return os.WriteFile(p.path, []byte(text), 0o644)
}
