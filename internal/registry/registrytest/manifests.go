package registrytest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// manifests corrects the referrers of the in-memory registry, and guards tags.
type manifests struct {
	next   http.Handler
	server *Server
	hasAll func(repo string, digests []string) bool // blobs

	mu     sync.Mutex        // held over a whole PUT
	pushed map[[2]string]int // by repository and digest: which push it was, from 1 on
}

func newManifests(next http.Handler, s *Server) *manifests {
	return &manifests{next: next, server: s, pushed: map[[2]string]int{}}
}

func (m *manifests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if repo, ref, ok := cutPath(r, "manifests"); ok && r.Method == http.MethodPut {
		m.put(w, r, repo, ref)
	} else if repo, _, ok := cutPath(r, "referrers"); ok {
		m.referrers(w, r, repo)
	} else {
		m.next.ServeHTTP(w, r)
	}
}

// put takes one manifest at a time: a tag is looked at and written in one step.
func (m *manifests) put(w http.ResponseWriter, r *http.Request, repo, ref string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	if code := m.check(repo, ref, body); code != "" {
		refuse(w, http.StatusBadRequest, code)
		return
	}
	rec := httptest.NewRecorder()
	m.next.ServeHTTP(rec, r)
	if key := [2]string{repo, rec.Header().Get("Docker-Content-Digest")}; rec.Code == http.StatusCreated && m.pushed[key] == 0 {
		m.pushed[key] = len(m.pushed) + 1
	}
	forward(w, rec)
}

// check returns the error code for a manifest that is not taken.
func (m *manifests) check(repo, ref string, body []byte) (code string) {
	b := m.server.get()
	old := m.get(repo, ref)
	switch {
	case b.immutableTags && !strings.Contains(ref, ":") && old.Code == http.StatusOK && !bytes.Equal(old.Body.Bytes(), body):
		return "TAG_INVALID"
	case b.requireBlobs && !m.hasAll(repo, blobsOf(body)):
		return "MANIFEST_BLOB_UNKNOWN"
	}
	return ""
}

// blobsOf returns the blobs that an image manifest names.
func blobsOf(body []byte) (digests []string) {
	type blob struct{ Digest string }
	var image struct {
		Config *blob
		Layers []blob
	}
	if json.Unmarshal(body, &image) != nil || image.Config == nil {
		return nil
	}
	for _, l := range append(image.Layers, *image.Config) {
		digests = append(digests, l.Digest)
	}
	return digests
}

// referrers answers with the artifact types that OCI 1.1 asks for, in the order
// of the pushes.
func (m *manifests) referrers(w http.ResponseWriter, r *http.Request, repo string) {
	rec := httptest.NewRecorder()
	m.next.ServeHTTP(rec, r)
	var index v1.IndexManifest
	if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &index) != nil {
		forward(w, rec)
		return
	}
	for i, d := range index.Manifests {
		index.Manifests[i].ArtifactType = artifactType(m.get(repo, d.Digest.String()).Body.Bytes())
	}
	m.sort(repo, index.Manifests)
	if want := r.URL.Query().Get("artifactType"); want != "" && m.server.get().filter {
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool { return d.ArtifactType != want })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_ = json.NewEncoder(w).Encode(index)
}

func (m *manifests) sort(repo string, list []v1.Descriptor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(list, func(a, b v1.Descriptor) int {
		return cmp.Compare(m.pushed[[2]string{repo, a.Digest.String()}], m.pushed[[2]string{repo, b.Digest.String()}])
	})
}

func (m *manifests) get(repo, ref string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	m.next.ServeHTTP(rec, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/v2/" + repo + "/manifests/" + ref}})
	return rec
}

// artifactType is the manifest's own, and that of its config only where it has
// none (OCI distribution 1.1, "Listing Referrers").
func artifactType(manifest []byte) string {
	var m struct {
		ArtifactType string
		Config       struct{ MediaType string }
	}
	if json.Unmarshal(manifest, &m) != nil || m.ArtifactType != "" {
		return m.ArtifactType
	}
	return m.Config.MediaType
}

func forward(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}
