package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/signgate/signgate/internal/attest/contents/contentstest"
)

// layer is one layer, as two files.
type layer struct {
	plain, packed string
	size          int64 // of packed, bytes
}

func (l layer) open() (io.ReadCloser, error) { return os.Open(l.packed) }

// makeLayers writes layers with files/layers files each, of size bytes all
// together. Half of the files are text of common words, which gzip makes a
// third of, and half are random, as what is compressed already. It is the same
// image in every run.
func makeLayers(dir string, layers, files int, size int64) ([]layer, error) {
	out := make([]layer, layers)
	random := rand.NewChaCha8([32]byte{})
	for i := range out {
		name := filepath.Join(dir, fmt.Sprintf("layer-%d.tar", i+1))
		out[i] = layer{plain: name, packed: name + ".gz"}
		if err := out[i].write(i, files/layers, int(size)/files, random); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *layer) write(number, files, size int, random *rand.ChaCha8) (err error) {
	plain, err := os.Create(l.plain)
	if err != nil {
		return err
	}
	defer plain.Close()
	packed, err := os.Create(l.packed)
	if err != nil {
		return err
	}
	defer packed.Close()
	both := bufio.NewWriterSize(plain, 1<<20)
	z := gzip.NewWriter(packed)
	w := tar.NewWriter(io.MultiWriter(both, z))
	for i := range files {
		if err := addFile(w, number, i, size, random); err != nil {
			return err
		}
	}
	for _, end := range []func() error{w.Close, both.Flush, z.Close} {
		if err := end(); err != nil {
			return err
		}
	}
	info, err := packed.Stat()
	if err != nil {
		return err
	}
	l.size = info.Size()
	return nil
}

var words = strings.Fields("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after also did many before must through back years where much your way well down should because each just those people")

func addFile(w *tar.Writer, number, i, size int, random *rand.ChaCha8) error {
	name := fmt.Sprintf("usr/lib/package-%d-%03d/file-%05d", number, i/50, i)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(size)}); err != nil {
		return err
	}
	body := make([]byte, 0, size+16)
	if i%2 == 0 {
		body = body[:size]
		_, _ = random.Read(body)
	}
	for len(body) < size {
		body = append(append(body, words[random.Uint64()%uint64(len(words))]...), ' ')
	}
	_, err := w.Write(body[:size])
	return err
}

// image returns the layers as an image.
func imageOf(layers []layer) []contentstest.Layer {
	var out []contentstest.Layer
	for _, l := range layers {
		out = append(out, l.open)
	}
	return out
}
