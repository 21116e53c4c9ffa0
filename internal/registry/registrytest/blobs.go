package registrytest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// blobs notes which repository has which blob, because the in-memory registry
// keeps them all in one place.
type blobs struct {
	next   http.Handler
	server *Server

	mu   sync.Mutex
	have map[[2]string]bool // by repository and digest
}

func newBlobs(next *manifests, s *Server) http.Handler {
	b := &blobs{next: next, server: s, have: map[[2]string]bool{}}
	next.hasAll = b.hasAll
	return b
}

func (b *blobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	repo, target, ok := cutPath(r, "blobs")
	switch {
	case !ok:
		b.next.ServeHTTP(w, r)
	case r.Method == http.MethodPost:
		b.post(w, r, repo)
	case r.Method == http.MethodPut:
		b.upload(w, r, repo, r.URL.Query().Get("digest"))
	case !strings.HasPrefix(target, "uploads/") && !b.has(repo, target):
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN")
	default:
		b.next.ServeHTTP(w, r)
	}
}

// post begins an upload, or is all of it: a mount, or a POST with the content.
func (b *blobs) post(w http.ResponseWriter, r *http.Request, repo string) {
	q := r.URL.Query()
	mount, digest := q.Get("mount"), q.Get("digest")
	switch {
	case mount != "" && b.has(q.Get("from"), mount):
		b.note(repo, mount)
		w.Header().Set("Location", "/v2/"+repo+"/blobs/"+mount)
		w.Header().Set("Docker-Content-Digest", mount)
		w.WriteHeader(http.StatusCreated)
	case mount == "" && digest != "" && b.server.get().singlePost:
		b.upload(w, r, repo, digest)
	default:
		b.next.ServeHTTP(w, withoutQuery(r))
	}
}

// upload passes on the request that ends an upload. The blob is noted before
// the client hears of it.
func (b *blobs) upload(w http.ResponseWriter, r *http.Request, repo, digest string) {
	b.next.ServeHTTP(&onCreated{w, func() { b.note(repo, digest) }}, r)
}

func (b *blobs) has(repo, digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.have[[2]string{repo, digest}]
}

func (b *blobs) hasAll(repo string, digests []string) bool {
	return !slices.ContainsFunc(digests, func(d string) bool { return !b.has(repo, d) })
}

func (b *blobs) note(repo, digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.have[[2]string{repo, digest}] = true
}

// onCreated calls a function before a 201 is sent.
type onCreated struct {
	http.ResponseWriter
	f func()
}

func (w *onCreated) WriteHeader(status int) {
	if status == http.StatusCreated {
		w.f()
	}
	w.ResponseWriter.WriteHeader(status)
}

func withoutQuery(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
	return out
}

// cutPath splits /v2/<repository>/<kind>/<target>.
func cutPath(r *http.Request, kind string) (repo, target string, ok bool) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	i := strings.LastIndex(path, "/"+kind+"/")
	if !ok || i <= 0 {
		return "", "", false
	}
	return path[:i], path[i+len(kind)+2:], true
}
