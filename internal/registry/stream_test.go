package registry_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
	"github.com/signgate/signgate/internal/retry"
)

// uploaded puts a blob of size random bytes into the repository app.
func uploaded(t *testing.T, s *registrytest.Server, size int) (body []byte, digest string) {
	body = make([]byte, size)
	for i := range body {
		body[i] = byte(rand.N(256))
	}
	repo, err := name.NewRepository(s.Host + "/app")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteLayer(repo, static.NewLayer(body, types.OCILayer), s.Remote()...); err != nil {
		t.Fatal(err)
	}
	return body, image.DigestOf(body)
}

// streamed reads a whole blob.
func streamed(t *testing.T, c *registry.Client, s *registrytest.Server, digest string, size int) ([]byte, error) {
	r, err := c.Stream(t.Context(), s.Host+"/app", digest, int64(size))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestStream: a blob larger than any answer that is kept comes as it is, in every
// mode, and after failures to open it.
func TestStream(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		s := registrytest.Start(t, mode)
		body, digest := uploaded(t, s, registry.MaxBlob+2<<20)
		busy := 2
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") || busy == 0 {
				return false
			}
			busy--
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		got, err := streamed(t, newClient(4), s, digest, len(body))
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d of %d bytes, %v", mode, len(got), len(body), err)
		}
	}
}

// TestStreamWrong: what is not the whole blob ends in an error, never in EOF.
func TestStreamWrong(t *testing.T) {
	const size = 100_000
	for name, tc := range map[string]struct {
		answer    func(w http.ResponseWriter, body []byte)
		code      string
		transient bool
	}{
		"changed": {func(w http.ResponseWriter, body []byte) { body[7]++; _, _ = w.Write(body) }, "content_mismatch", false},
		"longer":  {func(w http.ResponseWriter, body []byte) { _, _ = w.Write(append(body, 0)) }, "content_mismatch", false},
		"endless": {func(w http.ResponseWriter, body []byte) { endless(w, body) }, "content_mismatch", false},
		"shorter": {func(w http.ResponseWriter, body []byte) { _, _ = w.Write(body[:size/2]) }, "registry_unreachable", true},
		"empty":   {func(http.ResponseWriter, []byte) {}, "registry_unreachable", true},
		"broken off": {func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(body[:size/2])
		}, "registry_unreachable", true},
		"missing": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusNotFound) }, "blob_missing", false},
		"denied":  {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusForbidden) }, "registry_denied", false},
		"elsewhere": {func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Location", "http://far.example/x")
			w.WriteHeader(302)
		}, "registry_insecure", false},
	} {
		s := registrytest.Start(t, registrytest.Referrers)
		body, digest := uploaded(t, s, size)
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/blobs/") {
				tc.answer(w, bytes.Clone(body))
				return true
			}
			return false
		})
		_, err := streamed(t, newClient(1), s, digest, size)
		if fault.CodeOf(err) != tc.code || fault.IsTransient(err) != tc.transient {
			t.Errorf("%s: %v, want %s", name, err, tc.code)
		}
	}
}

func endless(w io.Writer, body []byte) {
	for {
		if _, err := w.Write(body); err != nil {
			return
		}
	}
}

// TestStreamStalls: a registry that sends nothing any more is given up, and one
// that sends slowly is not.
func TestStreamStalls(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	body, digest := uploaded(t, s, 1000)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	stall := false
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		for i := range 10 {
			_, _ = w.Write(body[i*100 : i*100+100])
			w.(http.Flusher).Flush()
			time.Sleep(60 * time.Millisecond)
			if stall && i == 5 {
				select {
				case <-ended:
				case <-r.Context().Done():
				}
			}
		}
		return true
	})
	c := registry.New(registry.Options{Keychain: keychain{}, Retry: retry.Policy{Attempts: 1, PerAttempt: 300 * time.Millisecond}})
	if got, err := streamed(t, c, s, digest, 1000); err != nil || len(got) != 1000 {
		t.Errorf("slow: %d bytes, %v", len(got), err)
	}
	stall = true
	if got, err := streamed(t, c, s, digest, 1000); fault.CodeOf(err) != "timeout" || !fault.IsTransient(err) || len(got) != 600 {
		t.Errorf("stalled: %d bytes, %v", len(got), err)
	}
}

// TestStreamClosed: a stream that is closed early ends its transfer, and one that
// nobody waits for any more ends by itself.
func TestStreamClosed(t *testing.T) {
	s := registrytest.Start(t, registrytest.Token)
	body, digest := uploaded(t, s, 3<<20)
	c := newClient(1)
	r, err := c.Stream(t.Context(), s.Host+"/app", digest, int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	r.Close()
	if _, err := io.ReadAll(r); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}
