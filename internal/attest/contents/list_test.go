package contents

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// TestRoot: the root is that of golang.org/x/mod/sumdb/tlog, which stores every hash.
func TestRoot(t *testing.T) {
	var m merkle
	if got := m.root(); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("no leaves: %s", got) // RFC 6962 section 2.1: SHA-256()
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for n := range int64(300) {
		leaf := fmt.Appendf(nil, "leaf %d", n)
		hashes, err := tlog.StoredHashes(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		m.add(leaf)
		if got := m.root(); got != hex.EncodeToString(want[:]) {
			t.Fatalf("%d leaves: %s, want %x", n+1, got, want[:])
		}
	}
}

const zero = "0000000000000000000000000000000000000000000000000000000000000000"

// TestLines is the form of each type.
func TestLines(t *testing.T) {
	for _, tc := range []struct {
		e    Entry
		want string
	}{
		{Entry{Path: "a b", Type: File, Mode: 0o4755, UID: 1, GID: 2, Size: 3, SHA256: zero}, `{"path":"a b","type":"file","mode":"4755","uid":1,"gid":2,"size":3,"sha256":"` + zero + `"}`},
		{Entry{Path: "e", Type: File, SHA256: zero}, `{"path":"e","type":"file","mode":"0000","uid":0,"gid":0,"size":0,"sha256":"` + zero + `"}`},
		{Entry{Path: "tmp", Type: Dir, Mode: 0o1777}, `{"path":"tmp","type":"dir","mode":"1777","uid":0,"gid":0}`},
		{Entry{Path: "l", Type: Symlink, Link: "a\n</ü>"}, `{"path":"l","type":"symlink","uid":0,"gid":0,"link":"a\n</ü>"}`},
		{Entry{Path: "\xff", Type: Symlink, Link: "\xfe"}, `{"pathBytes":"/w==","type":"symlink","uid":0,"gid":0,"linkBytes":"/g=="}`},
		{Entry{Path: "n", Type: Char, Mode: 0o666, Device: "1:3"}, `{"path":"n","type":"char","mode":"0666","uid":0,"gid":0,"device":"1:3"}`},
		{Entry{Path: "\x1b\x7f", Type: FIFO}, `{"path":"\u001b` + "\x7f" + `","type":"fifo","mode":"0000","uid":0,"gid":0}`},
	} {
		if got := string(tc.e.appendLine(nil)); got != tc.want {
			t.Errorf("%s\nwant %s", got, tc.want)
		}
		if got, err := parseLine([]byte(tc.want)); err != nil || got != tc.e {
			t.Errorf("%s: %+v %v", tc.want, got, err)
		}
	}
}

// TestBadLines: what is not the one form of a file that an image can have.
func TestBadLines(t *testing.T) {
	for _, line := range []string{
		``, `{}`, `null`, `[]`, `{"path":"a"}`,
		`{"path":"a","type":"fifo","mode":"0644","uid":0,"gid":0} `,
		`{"path": "a","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"type":"fifo","path":"a","mode":"0644","uid":0,"gid":0}`,
		`{"path":"\u0061","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a","path":"a","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a","type":"fifo","mode":"0644","uid":0,"gid":0,"more":1}`,
		`{"path":"a","type":"fifo","mode":"644","uid":0,"gid":0}`,
		`{"path":"a","type":"fifo","mode":"10644","uid":0,"gid":0}`,
		`{"path":"a","type":"fifo","mode":"0644","uid":-1,"gid":0}`,
		`{"path":"a","type":"hardlink","mode":"0644","uid":0,"gid":0}`,
		`{"path":"/a","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a/","type":"dir","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a/../b","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a","pathBytes":"Yg==","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"pathBytes":"YQ==","type":"fifo","mode":"0644","uid":0,"gid":0}`,
		`{"path":"a","type":"file","mode":"0644","uid":0,"gid":0,"size":1,"sha256":"00"}`,
		`{"path":"a","type":"file","mode":"0644","uid":0,"gid":0,"size":-1,"sha256":"` + zero + `"}`,
		`{"path":"a","type":"file","mode":"0644","uid":0,"gid":0,"size":1,"sha256":"` + strings.Replace(zero, "0", "A", 1) + `"}`,
		`{"path":"a","type":"symlink","uid":0,"gid":0,"link":""}`,
		`{"path":"a","type":"char","mode":"0644","uid":0,"gid":0,"device":"1:3x"}`,
		`{"path":"a","type":"char","mode":"0644","uid":0,"gid":0,"device":"1"}`,
	} {
		if e, err := parseLine([]byte(line)); err == nil {
			t.Errorf("%s: %+v", line, e)
		}
	}
}

func entries(n int) (out []Entry) {
	for i := range n {
		out = append(out, Entry{Path: fmt.Sprintf("f%06d", i), Type: File, Mode: 0o644, Size: 1, SHA256: zero})
	}
	return out
}

// TestEntries: a list is believed only when everything that was signed of it is
// right.
func TestEntries(t *testing.T) {
	f, list, err := newFiles(entries(5))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Entries(list); err != nil || len(got) != 5 {
		t.Fatal(got, err)
	}
	lines := strings.SplitAfter(string(list), "\n")
	again := func(text string) *Files { // a signed digest of a list that is wrong in itself
		return &Files{treeName, f.Root, f.Count, Descriptor{ListType, image.DigestOf([]byte(text)), int64(len(text))}}
	}
	swapped := lines[1] + lines[0] + strings.Join(lines[2:], "")
	twice := lines[0] + lines[0] + strings.Join(lines[2:], "")
	other := strings.Replace(string(list), "0644", "0755", 1)
	for name, tc := range map[string]struct {
		f    *Files
		list string
	}{
		"changed":           {f, other},
		"one line less":     {f, strings.Join(lines[:4], "")},
		"empty":             {f, ""},
		"another size":      {&Files{treeName, f.Root, f.Count, Descriptor{ListType, f.List.Digest, 7}}, string(list)},
		"another root":      {again(other), other},
		"another count":     {&Files{treeName, f.Root, 4, f.List}, string(list)},
		"a larger count":    {&Files{treeName, f.Root, 6, f.List}, string(list)},
		"another order":     {again(swapped), swapped},
		"a line twice":      {again(twice), twice},
		"no newline at end": {again(string(list[:len(list)-1])), string(list[:len(list)-1])},
		"an empty line":     {again("\n" + string(list)), "\n" + string(list)},
		"carriage returns":  {again(strings.ReplaceAll(string(list), "\n", "\r\n")), strings.ReplaceAll(string(list), "\n", "\r\n")},
	} {
		if got, err := tc.f.Entries([]byte(tc.list)); fault.CodeOf(err) != "contents_list_invalid" || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBounds: a list that would not be read again is not made.
func TestBounds(t *testing.T) {
	long := entries(MaxFiles + 1)
	if _, _, err := newFiles(long); fault.CodeOf(err) != "limit_exceeded" {
		t.Errorf("many: %v", err)
	}
	for i := range long[:20_000] {
		long[i].Path = fmt.Sprintf("%06d", i) + strings.Repeat("x/", 2000)
	}
	if _, _, err := newFiles(long[:20_000]); fault.CodeOf(err) != "limit_exceeded" {
		t.Errorf("long: %v", err)
	}
}

// TestCompareFiles: against a comparison by maps.
func TestCompareFiles(t *testing.T) {
	for range 200 {
		var sets [2][]Entry
		var maps [2]map[string]Entry
		for i := range sets {
			maps[i] = map[string]Entry{}
			for _, e := range entries(20) {
				if e.Mode = uint32(rand.N(2)); rand.N(3) > 0 {
					sets[i] = append(sets[i], e)
					maps[i][e.Path] = e
				}
			}
		}
		want := map[string]string{}
		for p, e := range maps[0] {
			if got, there := maps[1][p]; !there {
				want[p] = "contents_missing"
			} else if got != e {
				want[p] = "contents_changed"
			}
		}
		for p := range maps[1] {
			if _, there := maps[0][p]; !there {
				want[p] = "contents_added"
			}
		}
		findings := CompareFiles(sets[0], sets[1])
		for _, f := range findings {
			if want[f.Path] != f.Code {
				t.Errorf("%s: %s, want %s", f.Path, f.Code, want[f.Path])
			}
		}
		if len(findings) != len(want) {
			t.Errorf("%d findings, want %d", len(findings), len(want))
		}
	}
}

// TestCompareLayers: each way to differ.
func TestCompareLayers(t *testing.T) {
	l := func(names ...string) (c Contents) {
		for _, n := range names {
			c.Layers = append(c.Layers, Layer{Digest: n})
		}
		return c
	}
	for _, tc := range []struct {
		attested, found Contents
		want            string
	}{
		{l("a", "b"), l("a", "b"), ""},
		{l("a", "b"), l("a", "c"), "contents_layer_changed c"},
		{l("a", "b"), l("b", "a"), "contents_layer_changed b contents_layer_changed a"},
		{l("a", "b"), l("a"), "contents_layer_missing b"},
		{l("a"), l("a", "b"), "contents_layer_added b"},
		{l("a", "b", "c"), l("a", "d"), "contents_layer_missing b contents_layer_missing c contents_layer_added d"},
		{l("a"), l("a", "a"), "contents_layer_changed "},
		{l(), l("a"), "contents_layer_added a"},
	} {
		var got []string
		for _, f := range tc.attested.CompareLayers(tc.found) {
			got = append(got, f.Code+" "+f.Layer)
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("%v, %v: %q, want %q", tc.attested, tc.found, text, tc.want)
		}
	}
}
