package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// streamSize is the key of a context: how many bytes the blob of a streamed
// request has.
type streamSize struct{}

// maxError is what is read of an answer that is no blob, in bytes.
const maxError = 1 << 16

// Stream opens a blob of size bytes, of any length. It is never in memory as a
// whole, and does not count against what a run reads: no more than size bytes of
// it are read, which whoever names it has to bound.
//
// Opening is repeated as every request is. Reading is not: a transfer that
// breaks off, or that brings nothing for as long as one attempt may take, is a
// transient error ("registry_unreachable", "timeout"), after which the caller
// begins anew. Read returns io.EOF only when size bytes with the digest have
// come; other content is a refusal ("content_mismatch"). A blob that the registry
// does not have is undecided ("blob_missing"). Close it in any case; it is not
// for concurrent use.
func (c *Client) Stream(ctx context.Context, repository, digest string, size int64) (io.ReadCloser, error) {
	if err := image.CheckDigest(digest); err != nil {
		return nil, err
	}
	s := &stream{client: c, repository: repository, digest: digest, left: size, size: size, hash: sha256.New(), idle: c.opts.Retry.PerAttempt}
	return s, c.repeat(ctx, c.opts.Retry, repository, false, "opening "+digest, func(attempt context.Context) error {
		return s.begin(context.WithValue(ctx, streamSize{}, size), attempt)
	})
}

// stream is a blob on its way.
type stream struct {
	client             *Client
	repository, digest string
	size, left         int64
	hash               hash.Hash
	body               io.ReadCloser
	cancel             context.CancelFunc
	idle               time.Duration // the longest that a Read may take; 0 for no bound
	late               bool          // one took longer
	err                error         // what ended it
}

func (s *stream) request() request {
	return request{repository: s.repository, method: http.MethodGet, path: "blobs/" + s.digest, limit: maxError - 1, accept: []int{404}}
}

// begin opens the blob for as long as ctx has, within the time of the attempt.
func (s *stream) begin(ctx, attempt context.Context) error {
	ctx, s.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(attempt, s.cancel)
	err := s.open(ctx)
	if !stop() && err == nil {
		s.body.Close()
		err = attempt.Err()
	}
	if err != nil {
		s.cancel()
	}
	return err
}

// open asks for the blob. Anything but a 200 is read as an answer is.
func (s *stream) open(ctx context.Context) error {
	session, resp, err := s.client.send(ctx, s.request())
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK {
		s.body = resp.Body
		return nil
	}
	defer resp.Body.Close()
	if _, err := s.client.receive(session, s.request(), resp); err != nil {
		return err
	}
	return missingBlob(s.repository, s.digest, "push the image, or attest it, again")
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.read(p)
	if int64(n) > s.left {
		s.err = fault.Refusedf("content_mismatch", distrust, "%s was asked for the %d bytes of %s and returned more", s.repository, s.size, s.digest)
		return 0, s.err
	}
	s.hash.Write(p[:n])
	s.left -= int64(n)
	switch {
	case err == io.EOF:
		s.err = s.end()
	case err != nil && s.late:
		s.err = fault.Transientf("timeout", "run again later", "the registry of %s sent nothing of %s for %s", s.repository, s.digest, s.idle)
	case err != nil:
		s.err = s.client.fail(s.request(), err)
	}
	return n, s.err
}

// read reads, and ends the transfer when that takes too long.
func (s *stream) read(p []byte) (n int, err error) {
	if s.idle > 0 {
		t := time.AfterFunc(s.idle, s.cancel)
		defer func() { s.late = !t.Stop() || s.late }()
	}
	return s.body.Read(p)
}

// end returns io.EOF when the blob is whole and the right one.
func (s *stream) end() error {
	got := "sha256:" + hex.EncodeToString(s.hash.Sum(nil))
	switch {
	case s.left > 0:
		return cutShort(s.repository, s.digest, s.size-s.left, s.size)
	case got != s.digest:
		return mismatch(s.repository, s.digest, got)
	}
	return io.EOF
}

// Close ends the transfer.
func (s *stream) Close() error {
	defer s.cancel()
	return s.body.Close()
}
