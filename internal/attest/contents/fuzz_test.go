package contents

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/image"
)

// one is a source of one blob.
type one []byte

func (o one) Blob(context.Context, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(o)), nil
}

// FuzzLayer: no layer makes more than an error, and what is made of one can be
// read again and has only names that stay below the root.
func FuzzLayer(f *testing.F) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []*tar.Header{
		{Name: "a/.wh.d"}, {Name: "a/.wh..wh..opq"}, {Name: "a/", Typeflag: tar.TypeDir}, {Name: "a/b", Size: 1}, {Name: "a/c", Typeflag: tar.TypeLink, Linkname: "a/b"},
		{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/x"}, {Name: "n\xff", PAXRecords: map[string]string{"x": "y"}},
	} {
		if err := w.WriteHeader(h); err != nil {
			f.Fatal(err)
		}
		_, _ = w.Write(make([]byte, h.Size))
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes(), 0)
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, 1)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0}, 2)
	types := []string{"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd"}
	f.Fuzz(func(t *testing.T, body []byte, kind int) {
		l := Layer{Digest: image.DigestOf(body), MediaType: types[uint(kind)%3], Size: int64(len(body)), DiffID: image.DigestOf(body)}
		if uint(kind)%3 != 0 {
			_, _ = readLayer(t.Context(), one(body), l, true, newBudget())
			return
		}
		c, err := readLayer(t.Context(), one(body), l, true, newBudget())
		if err != nil {
			return
		}
		files, list, err := merge([]Layer{l, l}, []changes{c, c})
		if err != nil {
			return
		}
		entries, err := files.Entries(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if path.IsAbs(e.Path) || path.Clean(e.Path) != e.Path || slices.Contains(strings.Split(e.Path, "/"), "..") || strings.HasPrefix(path.Base(e.Path), whiteout) {
				t.Errorf("%q", e.Path)
			}
		}
	})
}

// FuzzLine: a line that is taken is the one form of its entry.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"path":"a","type":"file","mode":"0644","uid":0,"gid":0,"size":0,"sha256":"` + zero + `"}`))
	f.Add([]byte(`{"pathBytes":"/w==","type":"symlink","uid":0,"gid":0,"linkBytes":"/g=="}`))
	f.Add([]byte(`{"path":"n","type":"char","mode":"0666","uid":0,"gid":0,"device":"1:3"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseLine(line)
		if err != nil {
			return
		}
		if got := e.appendLine(nil); !bytes.Equal(got, line) || bytes.Contains(line, []byte("\n")) {
			t.Errorf("%s became %s", line, got)
		}
	})
}

// FuzzPredicate: a predicate that is taken can be used.
func FuzzPredicate(f *testing.F) {
	f.Add([]byte(`{"platform":"linux/amd64","layers":[{"digest":"sha256:`+zero+`","mediaType":"x","size":1,"diffId":"sha256:`+zero+`"}],"files":{"tree":"rfc6962-sha256","root":"`+zero+`","count":1,"list":{"mediaType":"`+ListType+`","digest":"sha256:`+zero+`","size":5}}}`), []byte("{}\n"))
	f.Fuzz(func(t *testing.T, body, list []byte) {
		c, err := Parse(body)
		if err != nil {
			return
		}
		if got := c.CompareLayers(c); len(got) != 0 {
			t.Errorf("%s: %v", body, got)
		}
		if c.Files != nil {
			_, _ = c.Files.Entries(list)
		}
	})
}

// FuzzManifest: no manifest and no config make more than an error.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:`+zero+`","size":36},"layers":[]}`), []byte(`{"os":"linux","rootfs":{"diff_ids":[]}}`))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		_, _ = open(t.Context(), one(config), manifest)
	})
}
