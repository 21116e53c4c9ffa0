package contents

import (
	"bufio"
	"cmp"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// unpack puts the decoder of the layer's media type before it, which works ahead
// until end is called.
func (r *reading) unpack() (end func(), err error) {
	switch layerTypes[r.layer.MediaType] {
	case gzipped:
		z, err := gzip.NewReader(bufio.NewReaderSize(r.packed, bufferSize))
		if err != nil {
			r.err = r.packed.err
			return nil, err
		}
		return r.ahead(z), nil
	case zstandard:
		z, err := zstd.NewReader(r.packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		end := r.ahead(z)
		return func() { end(); z.Close() }, nil
	}
	return r.ahead(r.packed), nil
}

const aheadSize = 512 << 10

// ahead reads from the decoder while what came before is hashed. It has ended
// when end returns; the context of the source ends what it waits for.
func (r *reading) ahead(decoder io.Reader) (end func()) {
	out, in := io.Pipe()
	chunks := bufio.NewWriterSize(in, aheadSize) // few and large: each has to wake the other side
	r.plain = bufio.NewReaderSize(out, aheadSize)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.CopyBuffer(onlyWriter{chunks}, decoder, make([]byte, bufferSize))
		in.CloseWithError(cmp.Or(err, chunks.Flush())) // nil is io.EOF
	}()
	return func() { out.Close(); <-done }
}

// source keeps the error of the source.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = cmp.Or(s.err, err)
	}
	return n, err
}

// unpacked reads the archive, hashes and counts it.
type unpacked struct{ *reading }

func (r unpacked) Read(p []byte) (int, error) {
	n, err := r.plain.Read(p)
	if err != nil && err != io.EOF { // the decoder has ended
		r.err = cmp.Or(r.err, r.packed.err)
	}
	r.hash.Write(p[:n])
	if over := r.share.takeBytes(int64(n)); over != nil {
		r.err = cmp.Or(r.err, over)
	}
	if r.share.bytes > r.share.of.free && r.share.bytes/maxRatio > r.layer.Size {
		r.err = cmp.Or(r.err, tooMuch("the layer %s of %d bytes unpacks to more than %d times that", r.layer.Digest, r.layer.Size, maxRatio))
	}
	if r.err = cmp.Or(r.err, r.ctx.Err()); r.err != nil {
		return 0, r.err
	}
	return n, err
}

// onlyWriter hides that a writer would rather read by itself, with a buffer of
// its own.
type onlyWriter struct{ io.Writer }
