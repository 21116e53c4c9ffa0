package contents_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// blobs are a source that has what was put in. It checks as the contract of
// Source asks for.
type blobs struct {
	mu   sync.Mutex
	has  map[string][]byte
	fail func(digest string, opened int) io.Reader // in place of the blob; nil for the blob
	open map[string]int                            // how often
}

func (b *blobs) put(body []byte) string {
	d := image.DigestOf(body)
	b.has[d] = body
	return d
}

func (b *blobs) Blob(_ context.Context, digest string, size int64) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, ok := b.has[digest]
	if !ok {
		return nil, fault.Undecidedf("blob_missing", "", "no %s", digest)
	}
	b.open[digest]++
	if b.fail != nil {
		if r := b.fail(digest, b.open[digest]); r != nil {
			return io.NopCloser(r), nil
		}
	}
	if int64(len(body)) != size {
		return nil, fault.Refusedf("content_mismatch", "", "%s has %d bytes", digest, len(body))
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// file is an entry of a layer. Its type is that of a regular file by default.
type file struct {
	name  string
	body  string
	link  string
	kind  byte
	mode  int64
	uid   int
	gid   int
	major int64
	pax   map[string]string
}

func dir(name string) file { return file{name: name + "/", kind: tar.TypeDir, mode: 0o755} }
func symlink(name, to string) file {
	return file{name: name, kind: tar.TypeSymlink, link: to, mode: 0o777}
}
func hard(name, to string) file      { return file{name: name, kind: tar.TypeLink, link: to} }
func reg(name string, b string) file { return file{name: name, body: b} }

func archive(t testing.TB, files ...file) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: f.mode, Uid: f.uid, Gid: f.gid, Size: int64(len(f.body)), Devmajor: f.major, PAXRecords: f.pax}
		if h.Typeflag == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: f.kind, PAXRecords: f.pax}
		} else if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%q: %v", f.name, err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const ociTar = "application/vnd.oci.image.layer.v1.tar"

// pack compresses an archive as a media type says.
func pack(t testing.TB, mediaType string, body []byte) []byte {
	var buf bytes.Buffer
	var w io.WriteCloser
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		w = gzip.NewWriter(&buf)
	case strings.HasSuffix(mediaType, "zstd"):
		z, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return body
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type descriptor = contents.Descriptor

// built is an image of archives, each with a media type.
type built struct {
	*blobs
	layers  []descriptor
	diffIDs []string
	config  string // its media type
}

func newImage() *built {
	return &built{blobs: &blobs{has: map[string][]byte{}, open: map[string]int{}}, config: "application/vnd.oci.image.config.v1+json"}
}

func (b *built) layer(t testing.TB, mediaType string, body []byte) *built {
	packed := pack(t, mediaType, body)
	b.layers = append(b.layers, descriptor{MediaType: mediaType, Digest: b.put(packed), Size: int64(len(packed))})
	b.diffIDs = append(b.diffIDs, image.DigestOf(body))
	return b
}

func (b *built) manifest(t testing.TB) []byte {
	config, err := json.Marshal(map[string]any{"os": "linux", "architecture": "arm64", "variant": "v8", "rootfs": map[string]any{"type": "layers", "diff_ids": b.diffIDs}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(map[string]any{"schemaVersion": 2, "layers": b.layers,
		"config": descriptor{MediaType: b.config, Digest: b.put(config), Size: int64(len(config))}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *built) read(t testing.TB, files bool) (contents.Contents, error) {
	return contents.Read(t.Context(), b, b.manifest(t), files)
}

// imageOf is an image whose layers have these files.
func imageOf(t testing.TB, layers ...[]file) *built {
	b := newImage()
	for _, l := range layers {
		b.layer(t, ociTar+"+gzip", archive(t, l...))
	}
	return b
}

// describe returns the entries in short: path, type, and what makes it.
func describe(t *testing.T, c contents.Contents) []string {
	t.Helper()
	entries, err := c.Files.Entries(c.List)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		text := e.Path + " " + string(e.Type)
		if e.Type == contents.File {
			text += " " + e.SHA256[:4]
		}
		out = append(out, strings.TrimSuffix(text+" "+e.Link+e.Device, " "))
	}
	return out
}

func sum(s string) string { return image.DigestOf([]byte(s))[7:11] }

func TestPackings(t *testing.T) {
	body := archive(t, dir("etc"), reg("etc/motd", "hello"), file{name: "empty"})
	for _, mediaType := range []string{
		ociTar, ociTar + "+gzip", ociTar + "+zstd", "application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.zstd",
	} {
		b := newImage().layer(t, mediaType, body)
		if strings.Contains(mediaType, "docker") {
			b.config = "application/vnd.docker.container.image.v1+json"
		}
		c, err := b.read(t, true)
		if err != nil {
			t.Errorf("%s: %v", mediaType, err)
			continue
		}
		want := []string{"empty file " + sum(""), "etc dir", "etc/motd file " + sum("hello")}
		if got := describe(t, c); !slices.Equal(got, want) {
			t.Errorf("%s: %q", mediaType, got)
		}
		l := contents.Layer{Digest: b.layers[0].Digest, MediaType: mediaType, Size: b.layers[0].Size, DiffID: b.diffIDs[0]}
		if c.Platform != "linux/arm64/v8" || len(c.Layers) != 1 || c.Layers[0] != l {
			t.Errorf("%s: %+v", mediaType, c)
		}
	}
}

// TestMultistream: layers of several gzip members are one, as eStargz has them.
func TestMultistream(t *testing.T) {
	body := archive(t, reg("a", "1"), reg("b", "2"))
	packed := append(pack(t, "gzip", body[:600]), pack(t, "gzip", body[600:])...)
	b := newImage()
	b.layers = []descriptor{{MediaType: ociTar + "+gzip", Digest: b.put(packed), Size: int64(len(packed))}}
	b.diffIDs = []string{image.DigestOf(body)}
	c, err := b.read(t, true)
	if err != nil || c.Files.Count != 2 {
		t.Errorf("%+v %v", c.Files, err)
	}
}

// TestApply are the rules of layer.md.
func TestApply(t *testing.T) {
	for name, tc := range map[string]struct {
		layers [][]file
		want   []string
	}{
		"a whiteout hides":                {[][]file{{reg("a/b", "1"), reg("a/c", "2")}, {reg("a/.wh.b", "")}}, []string{"a/c file " + sum("2")}},
		"a whiteout hides a directory":    {[][]file{{dir("a"), reg("a/b/c", "1"), reg("ab", "2")}, {reg(".wh.a", "")}}, []string{"ab file " + sum("2")}},
		"a whiteout of nothing":           {[][]file{{reg("a", "1")}, {reg(".wh.b", ""), reg("x/y/.wh.z", "")}}, []string{"a file " + sum("1")}},
		"not of its own layer":            {[][]file{{reg("a", "1")}, {reg(".wh.a", ""), reg("a", "2")}}, []string{"a file " + sum("2")}},
		"opaque":                          {[][]file{{dir("a"), reg("a/b", "1"), reg("a/c/d", "2")}, {dir("a"), reg("a/.wh..wh..opq", ""), reg("a/new", "3")}}, []string{"a dir", "a/new file " + sum("3")}},
		"whiteouts of siblings":           {[][]file{{reg("a/b", "1"), reg("a/c", "2")}, {dir("a"), reg("a/d", "3"), reg("a/.wh.b", ""), reg("a/.wh.c", "")}}, []string{"a dir", "a/d file " + sum("3")}},
		"opaque, the root":                {[][]file{{reg("a/b", "1")}, {reg(".wh..wh..opq", ""), reg("c", "3")}}, []string{"c file " + sum("3")}},
		"opaque in place of a file":       {[][]file{{reg("a", "1")}, {dir("a"), reg("a/.wh..wh..opq", ""), reg("a/b", "2")}}, []string{"a dir", "a/b file " + sum("2")}},
		"whited out, then made again":     {[][]file{{reg("a/b", "1")}, {reg(".wh.a", "")}, {reg("a/c", "2")}}, []string{"a/c file " + sum("2")}},
		"a file in place of a directory":  {[][]file{{dir("a"), reg("a/b", "1")}, {reg("a", "2")}}, []string{"a file " + sum("2")}},
		"a directory in place of a file":  {[][]file{{reg("a", "1")}, {dir("a"), reg("a/b", "2")}}, []string{"a dir", "a/b file " + sum("2")}},
		"a directory in place of a link":  {[][]file{{symlink("a", "b"), reg("b/x", "1")}, {dir("a"), reg("a/c", "2")}}, []string{"a dir", "a/c file " + sum("2"), "b/x file " + sum("1")}},
		"a link in place of a directory":  {[][]file{{dir("a"), reg("a/b", "1")}, {symlink("a", "../..")}}, []string{"a symlink ../.."}},
		"a directory keeps its files":     {[][]file{{dir("a"), reg("a/b", "1")}, {dir("a")}}, []string{"a dir", "a/b file " + sum("1")}},
		"hard links are files":            {[][]file{{reg("z", "1"), hard("a", "z"), hard("b", "a")}}, []string{"a file " + sum("1"), "b file " + sum("1"), "z file " + sum("1")}},
		"a hard link to a layer below":    {[][]file{{reg("z", "1")}, {hard("a", "/z")}, {reg("z", "2")}}, []string{"a file " + sum("1"), "z file " + sum("2")}},
		"a hard link to a symbolic link":  {[][]file{{symlink("z", "x"), hard("a", "z")}}, []string{"a symlink x", "z symlink x"}},
		"a hard link has its file's mode": {[][]file{{file{name: "z", mode: 0o4755, uid: 1, gid: 2}, file{name: "a", kind: tar.TypeLink, link: "z", mode: 0o4755, uid: 1, gid: 2}}}, []string{"a file " + sum(""), "z file " + sum("")}},
		"devices and pipes":               {[][]file{{file{name: "p", kind: tar.TypeFifo}, file{name: "c", kind: tar.TypeChar, major: 5}, file{name: "b", kind: tar.TypeBlock, major: 8}}}, []string{"b block 8:0", "c char 5:0", "p fifo"}},
		"names are made relative":         {[][]file{{dir("./"), reg("./a", "1"), reg("/b//c", "2"), dir("./d/.")}}, []string{". dir", "a file " + sum("1"), "b/c file " + sum("2"), "d dir"}},
		"sorted by bytes":                 {[][]file{{reg("a/b", "1"), reg("a-b", "1"), reg("a.", "1")}}, []string{"a-b file " + sum("1"), "a. file " + sum("1"), "a/b file " + sum("1")}},
		"the same directory twice":        {[][]file{{dir("a"), dir("a/"), dir("./a")}}, []string{"a dir"}},
		"what git archive writes":         {[][]file{{file{kind: tar.TypeXGlobalHeader, pax: map[string]string{"comment": "x"}}, reg("a", "1")}}, []string{"a file " + sum("1")}},
		"hostile names are names":         {[][]file{{reg("a\nb", "1"), reg("\x1b[31mred", "1"), reg("ü/日本", "1"), reg(`q"\`, "1"), reg("..x", "1"), reg(" ", "1")}}, []string{"\x1b[31mred file " + sum("1"), "  file " + sum("1"), "..x file " + sum("1"), "a\nb file " + sum("1"), "q\"\\ file " + sum("1"), "ü/日本 file " + sum("1")}},
		"names that are no UTF-8":         {[][]file{{reg("caf\xe9", "1"), symlink("l", "\xff")}}, []string{"caf\xe9 file " + sum("1"), "l symlink \xff"}},
		"an empty layer":                  {[][]file{{}, {}}, nil},
		"links that lead out are allowed": {[][]file{{symlink("a", "/../../etc/shadow")}}, []string{"a symlink /../../etc/shadow"}},
	} {
		c, err := imageOf(t, tc.layers...).read(t, true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(t, c); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestRefused: what is hostile, or means different things to the programs that
// unpack images, is not attested.
func TestRefused(t *testing.T) {
	deep := strings.Repeat("a/", 300) + "x"
	for name, tc := range map[string]struct {
		layers [][]file
		why    string
	}{
		"up":                                   {[][]file{{reg("a/../../b", "")}}, "leads up"},
		"up alone":                             {[][]file{{reg("..", "")}}, "leads up"},
		"a hard link up":                       {[][]file{{hard("a", "../x")}}, "leads up"},
		"twice":                                {[][]file{{reg("a", "1"), reg("./a", "2")}}, "twice"},
		"twice, a directory":                   {[][]file{{dir("a"), file{name: "a/", kind: tar.TypeDir, mode: 0o777}}}, "twice"},
		"through a link":                       {[][]file{{symlink("lib", "usr/lib")}, {reg("lib/x", "1")}}, "depends on who"},
		"through a link of its own":            {[][]file{{symlink("lib", "/etc"), reg("lib/x", "1")}}, "depends on who"},
		"through a file":                       {[][]file{{reg("a", "1"), reg("a/b", "1")}}, "depends on who"},
		"a whiteout through a link":            {[][]file{{symlink("lib", "usr/lib")}, {reg("lib/.wh.x", "")}}, "depends on who"},
		"a hard link to nothing":               {[][]file{{hard("a", "b")}}, "no file"},
		"to a directory":                       {[][]file{{dir("b"), hard("a", "b")}}, "no file"},
		"to what is hidden":                    {[][]file{{reg("b", "")}, {reg(".wh.b", ""), hard("a", "b")}}, "no file"},
		"to what comes later":                  {[][]file{{hard("a", "b"), reg("b", "")}}, "comes after"},
		"through a link, hard":                 {[][]file{{symlink("d", "e"), reg("e/f", ""), hard("a", "d/f")}}, "depends on who"},
		"a nameless whiteout":                  {[][]file{{reg("a/.wh.", "")}}, "whiteout of nothing"},
		"a whiteout of ..":                     {[][]file{{reg("a/.wh...", "")}}, "whiteout of nothing"},
		"aufs":                                 {[][]file{{reg(".wh..wh.plnk", "")}}, "whiteout of nothing"},
		"below a whiteout":                     {[][]file{{reg("a/.wh.b/c", "")}}, "below a whiteout"},
		"overlayfs' whiteout":                  {[][]file{{file{name: "a", kind: tar.TypeChar}}}, "0:0"},
		"contiguous":                           {[][]file{{file{name: "a", kind: tar.TypeCont}}}, "type"},
		"deep":                                 {[][]file{{reg(deep, "")}}, "depth"},
		"a long part":                          {[][]file{{reg(strings.Repeat("n", 256), "")}}, "no system takes"},
		"a long path":                          {[][]file{{reg(strings.Repeat("nnnnnnnnnnnnnnnnnnnnnnnnnnn/", 200)+"x", "")}}, "4096"},
		"a hard link with setuid":              {[][]file{{reg("a", ""), file{name: "b", kind: tar.TypeLink, link: "a", mode: 0o4755}}}, "which of them counts"},
		"of another user":                      {[][]file{{file{name: "a", uid: 1000}, hard("b", "a")}}, "which of them counts"},
		"of another group":                     {[][]file{{reg("a", "")}, {file{name: "b", kind: tar.TypeLink, link: "a", gid: 5}}}, "which of them counts"},
		"by way of another one":                {[][]file{{file{name: "a", mode: 0o4755}, file{name: "b", kind: tar.TypeLink, link: "a", mode: 0o4755}, hard("c", "b")}}, "which of them counts"},
		"a symbolic link's owner":              {[][]file{{symlink("a", "x"), file{name: "b", kind: tar.TypeLink, link: "a", uid: 7}}}, "which of them counts"},
		"a whiteout too late":                  {[][]file{{reg("a", "1")}, {reg("a", "2"), reg(".wh.a", "")}}, "after an entry"},
		"too late, with nothing":               {[][]file{{reg("a", "2"), reg(".wh.a", "")}}, "after an entry"},
		"too late, below":                      {[][]file{{reg("a/b/c", "2"), reg(".wh.a", "")}}, "after an entry"},
		"too late, implied":                    {[][]file{{reg("x/a/b/c", "2"), reg("x/a/.wh.b", "")}}, "after an entry"},
		"too late, a directory":                {[][]file{{dir("a"), reg(".wh.a", "")}}, "after an entry"},
		"opaque too late":                      {[][]file{{reg("a/new", "3"), reg("a/.wh..wh..opq", "")}}, "after an entry"},
		"opaque too late, below":               {[][]file{{dir("a"), dir("a/b"), reg("a/.wh..wh..opq", "")}}, "after an entry"},
		"opaque too late, the root":            {[][]file{{reg("c", "3"), reg(".wh..wh..opq", "")}}, "after an entry"},
		"a whiteout through a link of its own": {[][]file{{reg("lib/x", ""), reg("usr/x", "")}, {symlink("lib", "usr"), reg("lib/.wh.x", "")}}, "depends on who"},
		"opaque, a link of its own":            {[][]file{{reg("lib/x", ""), reg("usr/x", "")}, {symlink("lib", "usr"), reg("lib/.wh..wh..opq", "")}}, "depends on who"},
		"an empty link":                        {[][]file{{symlink("a", "")}}, "target"},
		"a root that is a file":                {[][]file{{reg(".", "")}}, "directory"},
	} {
		_, err := imageOf(t, tc.layers...).read(t, true)
		if fault.CodeOf(err) != "contents_layer_invalid" || fault.OutcomeOf(err) != fault.Refused || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %v, want %q", name, err, tc.why)
		}
	}
}

// TestOverlay: the extended attributes by which overlayfs and fuse-overlayfs hide
// files are refused, others are not.
func TestOverlay(t *testing.T) {
	for key, refused := range map[string]bool{
		"SCHILY.xattr.trusted.overlay.opaque": true, "SCHILY.xattr.trusted.overlay.whiteout": true, "SCHILY.xattr.user.overlay.redirect": true,
		"SCHILY.xattr.user.fuseoverlayfs.opaque": true, "SCHILY.xattr.user.containers.override_stat": true,
		"LIBARCHIVE.xattr.trusted.overlay.opaque": true, "LIBARCHIVE.xattr.trusted%2eoverlay%2Eopaque": true, "LIBARCHIVE.xattr.user.overlay.opaque": true,
		"LIBARCHIVE.xattr.user.fuseoverlayfs.opaque": true, "LIBARCHIVE.xattr.%zz%": false,
		"SCHILY.xattr.security.capability": false, "SCHILY.xattr.user.overlayed": false, "LIBARCHIVE.xattr.user.x": false, "SCHILY.acl.access": false,
	} {
		pax := map[string]string{key: "y"}
		for _, files := range [][]file{{{name: "a/", kind: tar.TypeDir, pax: pax}}, {{name: "a", pax: pax}}, {{kind: tar.TypeXGlobalHeader, pax: pax}, reg("a", "")}} {
			_, err := imageOf(t, files).read(t, true)
			if refused != (fault.CodeOf(err) == "contents_layer_invalid") || !refused && err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}

// TestSparse: GNU tar's sparse files are refused in both of their forms.
func TestSparse(t *testing.T) {
	old := archive(t, reg("a", "x"))
	old[156] = tar.TypeGNUSparse
	copy(old[257:], "ustar  \x00")
	fix(old)
	for name, body := range map[string][]byte{"old": old, "pax": paxSparse(t)} {
		_, err := newImage().layer(t, ociTar, body).read(t, true)
		if fault.CodeOf(err) != "contents_layer_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSizes: only files have a size. Readers differ on whether content follows a
// hard link that has one (GNU tar and Go: none, libarchive: it depends).
func TestSizes(t *testing.T) {
	for _, kind := range []byte{tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo} {
		f := file{name: "b", kind: kind, major: 1}
		if kind == tar.TypeLink || kind == tar.TypeSymlink {
			f.link = "a"
		}
		body := archive(t, reg("a", ""), f)
		if _, err := newImage().layer(t, ociTar, body).read(t, true); err != nil {
			t.Errorf("%c: %v", kind, err)
		}
		copy(body[512+124:], "00000001000\x00")
		fix(body[512:])
		_, err := newImage().layer(t, ociTar, body).read(t, true)
		if fault.CodeOf(err) != "contents_layer_invalid" || !strings.Contains(err.Error(), "it has a size") {
			t.Errorf("%c: %v", kind, err)
		}
	}
	f := file{name: "a/", kind: tar.TypeDir, pax: map[string]string{"SIGNGATE.x": "1"}}
	body := bytes.ReplaceAll(archive(t, f), []byte("16 SIGNGATE.x=1\n"), []byte("16 size=0000512\n"))
	if _, err := newImage().layer(t, ociTar, body).read(t, true); !strings.Contains(fmt.Sprint(err), "it has a size") {
		t.Errorf("PAX: %v", err)
	}
}

// fix makes the checksum of the first header right.
func fix(header []byte) {
	copy(header[148:156], "        ")
	n := 0
	for _, b := range header[:512] {
		n += int(b)
	}
	copy(header[148:156], []byte{'0', byte('0' + n>>12&7), byte('0' + n>>9&7), byte('0' + n>>6&7), byte('0' + n>>3&7), byte('0' + n&7), 0, ' '})
}

// paxSparse is a file of the format 0.1, which Go does not write.
func paxSparse(t *testing.T) []byte {
	body := archive(t, file{name: "a", body: "x", pax: map[string]string{"SIGNGATE.sparse.map": "0,1", "SIGNGATE.sparse.numblocks": "1", "SIGNGATE.sparse.size": "1"}})
	return bytes.ReplaceAll(body, []byte("SIGNGATE.sparse"), []byte("GNU.sparse\x00\x00\x00\x00\x00"))
}

// TestWrong: a layer that is not what manifest and config say.
func TestWrong(t *testing.T) {
	good := archive(t, reg("a", "1"))
	for name, tc := range map[string]struct {
		spoil func(b *built)
		code  string
	}{
		"another diff ID":       {func(b *built) { b.diffIDs[0] = image.DigestOf(nil) }, "contents_layer_invalid"},
		"no diff ID":            {func(b *built) { b.diffIDs[0] = "sha512:00" }, "contents_not_an_image"},
		"too few diff IDs":      {func(b *built) { b.diffIDs = nil }, "contents_not_an_image"},
		"an artifact":           {func(b *built) { b.config = "application/vnd.oci.empty.v1+json" }, "contents_not_an_image"},
		"no digest":             {func(b *built) { b.layers[0].Digest = "sha256:00" }, "contents_not_an_image"},
		"a negative size":       {func(b *built) { b.layers[0].Size = -1 }, "contents_not_an_image"},
		"an endless size":       {func(b *built) { b.layers[0].Size = 1 << 62 }, "contents_not_an_image"},
		"not gzip":              {func(b *built) { b.layers[0].MediaType = ociTar + "+gzip" }, "contents_layer_invalid"},
		"not zstd":              {func(b *built) { b.layers[0].MediaType = ociTar + "+zstd" }, "contents_layer_invalid"},
		"foreign":               {func(b *built) { b.layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }, "contents_layer_unsupported"},
		"non-distributable":     {func(b *built) { b.layers[0].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar" }, "contents_layer_unsupported"},
		"encrypted":             {func(b *built) { b.layers[0].MediaType = ociTar + "+gzip+encrypted" }, "contents_layer_unsupported"},
		"unknown":               {func(b *built) { b.layers[0].MediaType = "application/x" }, "contents_layer_unsupported"},
		"a layer that is gone":  {func(b *built) { delete(b.has, b.layers[0].Digest) }, "blob_missing"},
		"a layer that has more": {func(b *built) { b.layers[0].Size++ }, "content_mismatch"},
		"trouble of the network": {func(b *built) {
			b.fail = func(string, int) io.Reader { return io.MultiReader(strings.NewReader("x"), broken{}) }
		}, "registry_unreachable"},
	} {
		for _, files := range []bool{true, false} {
			b := newImage().layer(t, ociTar, good)
			tc.spoil(b)
			if _, err := b.read(t, files); fault.CodeOf(err) != tc.code {
				t.Errorf("%s, files %v: %v, want %s", name, files, err, tc.code)
			}
		}
	}
	for _, text := range []string{"", "[]", "{}", `{"manifests":[]}`, strings.Repeat("[", 1<<20), `{"layers":` + strings.Repeat(",", 50_000)} {
		if _, err := contents.Read(t.Context(), newImage(), []byte(text), true); fault.CodeOf(err) != "contents_not_an_image" {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	cut := good[:512]
	if _, err := newImage().layer(t, ociTar, cut).read(t, true); fault.CodeOf(err) != "contents_layer_invalid" {
		t.Errorf("a cut archive: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, fault.Transientf("registry_unreachable", "", "broken off")
}

// TestRestart: a layer whose transfer breaks off is read again, and what it took
// of the bounds is given back.
func TestRestart(t *testing.T) {
	for _, mediaType := range []string{ociTar, ociTar + "+gzip", ociTar + "+zstd"} {
		b := newImage().layer(t, mediaType, archive(t, reg("a", strings.Repeat("1", 100_000)), reg("b", "2")))
		body := b.has[b.layers[0].Digest]
		b.fail = func(digest string, opened int) io.Reader {
			if digest != b.layers[0].Digest || opened > 2 {
				return nil
			}
			return io.MultiReader(bytes.NewReader(body[:len(body)*2/3]), broken{})
		}
		c, err := b.read(t, true)
		if err != nil || c.Files.Count != 2 || b.open[b.layers[0].Digest] != 3 {
			t.Errorf("%s: %v, opened %d times", mediaType, err, b.open[b.layers[0].Digest])
		}
	}
}

// TestCancelled: nothing is decided when the time is up.
func TestCancelled(t *testing.T) {
	b := imageOf(t, []file{reg("a", "1")})
	m := b.manifest(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.fail = func(digest string, _ int) io.Reader {
		if digest == b.layers[0].Digest {
			cancel()
		}
		return nil
	}
	if _, err := contents.Read(ctx, b, m, true); !errors.Is(err, context.Canceled) || fault.OutcomeOf(err) != fault.Undecided {
		t.Error(err)
	}
}

// TestPredicate: what Read returns can be signed, and read again.
func TestPredicate(t *testing.T) {
	for _, files := range []bool{true, false} {
		c, err := imageOf(t, []file{reg("a", "1")}, []file{reg("b", "2")}).read(t, files)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Predicate()
		if err != nil || p.Type != attest.Contents {
			t.Fatal(p, err)
		}
		again, err := contents.Parse(p.Body)
		if err != nil || (again.Files != nil) != files || len(again.CompareLayers(c)) != 0 {
			t.Errorf("%s: %v", p.Body, err)
		}
	}
	for _, text := range []string{
		``, `[]`, `{"layers":[],"more":1}`, `{"layers":[{"digest":"sha256:00"}]}`, `{"layers":[],"layers":[]}`,
		`{"layers":[],"files":{"tree":"other"}}`, `{"layers":[],"files":{}}`,
	} {
		if _, err := contents.Parse([]byte(text)); fault.CodeOf(err) != "contents_predicate_invalid" {
			t.Errorf("%s: %v", text, err)
		}
	}
}
