package policy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document parses the one document of a file and returns its root, or nil after
// a mistake that makes everything else unreadable.
func (r *reader) document(text []byte) *yaml.Node {
	if line, column, bad := invalidUTF8(text); bad {
		r.failAt(line, column, "save it as UTF-8", "the file is not UTF-8")
		return nil
	}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && doc.Content[0].ShortTag() == "!!null":
		r.fail(nil, "write a policy; signgate policy init does it for a signed image", "the file is empty")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		r.fail(more.Content[0], "keep one document", "there is more after the first document")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	}
	if !r.plain(doc.Content[0]) || len(r.problems) > 0 {
		return nil
	}
	return doc.Content[0]
}

func invalidUTF8(text []byte) (line, column int, bad bool) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			start := bytes.LastIndexByte(text[:i], '\n') + 1
			return bytes.Count(text[:i], []byte("\n")) + 1, utf8.RuneCount(text[start:i]) + 1, true
		}
		i += size
	}
	return 0, 0, false
}

// syntax notes an error of the YAML parser, whose texts begin with the line.
func (r *reader) syntax(err error) {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line ([0-9]+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(text, m[0])
	}
	r.failAt(line, 1, "correct the YAML", "this is no YAML: %s", oneLine(text))
}

// plain refuses what makes a text mean something else than it shows: anchors
// and aliases, which can make a small file large, and tags, which turn a value
// into another type.
func (r *reader) plain(n *yaml.Node) bool {
	ok := true
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		r.fail(n, "write the value out", "anchors and aliases are not read")
		ok = false
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "write the value alone", "tags such as %s are not read", quote(n.Tag))
		ok = false
	}
	for _, c := range n.Content {
		ok = r.plain(c) && ok
	}
	return ok
}
