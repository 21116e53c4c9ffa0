package registry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

// TestStreamBudget: a stream takes nothing of what a run may read, and has a
// bound of its own.
func TestStreamBudget(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 3*maxError)) }))
	defer s.Close()
	g := &guard{inner: http.DefaultTransport}
	read := func(ctx context.Context) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := g.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return len(body), err
	}
	if n, err := read(context.WithValue(t.Context(), streamSize{}, int64(maxError))); err != nil || n != 2*maxError || g.read.Load() != 0 {
		t.Errorf("%d bytes of a stream, %v; %d bytes of the run", n, err, g.read.Load())
	}
	g.read.Store(maxRead)
	if n, err := read(context.WithValue(t.Context(), streamSize{}, int64(3*maxError))); err != nil || n != 3*maxError {
		t.Errorf("%d bytes after the bound of the run, %v", n, err)
	}
	if _, err := read(t.Context()); fault.CodeOf(err) != "limit_exceeded" {
		t.Errorf("an answer after the bound of the run: %v", err)
	}
}
