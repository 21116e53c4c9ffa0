package storm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// serve puts a request to the registry itself, past every interceptor.
func (x *target) serve(method, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/v2/"+x.repo+"/"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	x.Serve(rec, r)
	return rec
}

// ask is serve for what has to succeed.
func (x *target) ask(t *testing.T, method, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	rec := x.serve(method, path, mediaType, body)
	if rec.Code >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return rec
}

func (x *target) get(t *testing.T, path string) []byte {
	t.Helper()
	return x.ask(t, http.MethodGet, path, "", nil).Body.Bytes()
}

func (x *target) put(t *testing.T, ref, mediaType string, body []byte) {
	t.Helper()
	x.ask(t, http.MethodPut, "manifests/"+ref, mediaType, body)
}

func (x *target) putBlob(t *testing.T, body []byte) (digest string) {
	t.Helper()
	digest = digestOf(body)
	upload := x.ask(t, http.MethodPost, "blobs/uploads/", "", nil).Header().Get("Location")
	path := strings.TrimPrefix(upload, "/v2/"+x.repo+"/")
	x.ask(t, http.MethodPut, path+"?digest="+digest, "application/octet-stream", body)
	return digest
}

// onlyBundle returns the digest of the bundle manifest that the registry lists.
func (x *target) onlyBundle(t *testing.T) string {
	t.Helper()
	h := x.held(t)
	if len(h.bundles) != 1 {
		t.Fatalf("%d bundles, want one", len(h.bundles))
	}
	return h.bundles[0].digest
}

// onlyBlob returns the digest of the blob of that bundle.
func (x *target) onlyBlob(t *testing.T) string {
	t.Helper()
	return x.manifest(t, "@"+x.onlyBundle(t)).Layers[0].Digest.String()
}

// onlyLayer returns the digest of the payload at the signature tag.
func (x *target) onlyLayer(t *testing.T) string {
	t.Helper()
	h := x.held(t)
	if len(h.layers) != 1 {
		t.Fatalf("%d layers, want one", len(h.layers))
	}
	return h.layers[0].digest
}
