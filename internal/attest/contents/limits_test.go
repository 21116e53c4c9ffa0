package contents

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// packedLayer returns a layer of files with a size, whose bytes are zero, and
// its blob.
func packedLayer(t *testing.T, kind packing, sizes ...int64) (Layer, []byte) {
	var packed bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&packed)
	l := Layer{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}
	if kind == zstandard {
		w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(2*maxWindow))
		if err != nil {
			t.Fatal(err)
		}
		z, l.MediaType = w, "application/vnd.oci.image.layer.v1.tar+zstd"
	}
	sum := sha256.New()
	w := tar.NewWriter(io.MultiWriter(z, sum))
	for i, size := range sizes {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("file-%d", i), Size: size, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l.Digest, l.Size, l.DiffID = image.DigestOf(packed.Bytes()), int64(packed.Len()), "sha256:"+hex.EncodeToString(sum.Sum(nil))
	return l, packed.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestLimits: each bound of a layer ends the reading of it, undecided, and what it
// took is given back.
func TestLimits(t *testing.T) {
	l, body := packedLayer(t, gzipped, 5<<20, 1)
	for name, set := range map[string]func(*budget){
		"bytes":   func(b *budget) { b.bytes.Store(5 << 20) },
		"entries": func(b *budget) { b.entries.Store(1) },
		"names":   func(b *budget) { b.text.Store(10) },
		"ratio":   func(b *budget) { b.free = 1 << 20 },
	} {
		b := newBudget()
		set(b)
		bytes, entries, text := b.bytes.Load(), b.entries.Load(), b.text.Load()
		if _, err := readLayer(t.Context(), one(body), l, true, b); fault.CodeOf(err) != "limit_exceeded" || fault.OutcomeOf(err) != fault.Undecided {
			t.Errorf("%s: %v", name, err)
		}
		if b.bytes.Load() != bytes || b.entries.Load() != entries || b.text.Load() != text {
			t.Errorf("%s: not all was given back", name)
		}
	}
	if _, err := readLayer(t.Context(), one(body), l, true, newBudget()); err != nil {
		t.Error(err)
	}
	l, body = packedLayer(t, zstandard, 2*maxWindow)
	if _, err := readLayer(t.Context(), one(body), l, true, newBudget()); fault.CodeOf(err) != "limit_exceeded" {
		t.Errorf("window: %v", err)
	}
}

// TestNodes: paths that are deep make no more directories than there may be files.
func TestNodes(t *testing.T) {
	var c changes
	for i := range 9000 {
		c.entries = append(c.entries, Entry{Path: fmt.Sprintf("%d/", i) + strings.Repeat("a/", 120) + "b", Type: FIFO})
	}
	if err := new(tree).apply(0, c); fault.CodeOf(err) != "limit_exceeded" {
		t.Error(err)
	}
}

// TestImplied: directories without an entry count as entries, each once.
func TestImplied(t *testing.T) {
	b := newBudget()
	b.entries.Store(10)
	var c changes
	seen := names{share: &share{of: b}, at: map[string]int{}, above: map[string]bool{}}
	for _, name := range []string{"1", "2"} {
		if err := c.add(Entry{Path: strings.Repeat("a/", 9) + name}, seen); err != nil {
			t.Error(err)
		}
	}
	if err := c.add(Entry{Path: "b/c"}, seen); fault.CodeOf(err) != "limit_exceeded" {
		t.Error(err)
	}
}

// TestMemory: a layer of 48 MB is read with a few megabytes.
func TestMemory(t *testing.T) {
	l, body := packedLayer(t, gzipped, 48<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readLayer(t.Context(), one(body), l, true, newBudget()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if all := after.TotalAlloc - before.TotalAlloc; all > 4<<20 {
		t.Errorf("%d bytes were allocated", all)
	}
}
