package registrytest

import (
	"net/http"
	"time"
)

// behaviour is how a registry differs from a quick and lenient one.
type behaviour struct {
	delay         time.Duration
	singlePost    bool
	immutableTags bool
	requireBlobs  bool
	filter        bool
	perSecond     int
}

// Delay makes every request wait before it is answered.
func (s *Server) Delay(d time.Duration) { s.set(func(b *behaviour) { b.delay = d }) }

// SinglePost says whether a POST with ?digest= and the content uploads a blob
// at once, which is the default. Without it the digest is ignored and the
// upload goes on at a Location, as the CNCF distribution registry has it.
func (s *Server) SinglePost(on bool) { s.set(func(b *behaviour) { b.singlePost = on }) }

// ImmutableTags makes a tag keep its first manifest: another one is answered
// with 400 and TAG_INVALID, as Amazon ECR does.
func (s *Server) ImmutableTags(on bool) { s.set(func(b *behaviour) { b.immutableTags = on }) }

// RequireBlobs makes the registry take an image manifest only when the
// repository has its config and its layers, and answer 400 and
// MANIFEST_BLOB_UNKNOWN otherwise, as most registries do.
func (s *Server) RequireBlobs(on bool) { s.set(func(b *behaviour) { b.requireBlobs = on }) }

// FilterReferrers makes the referrers API apply the query artifactType, and say
// so in the header OCI-Filters-Applied.
func (s *Server) FilterReferrers(on bool) { s.set(func(b *behaviour) { b.filter = on }) }

// RateLimit answers all but the first n requests of each second with 429 and
// Retry-After: 1. Zero ends that.
func (s *Server) RateLimit(n int) { s.set(func(b *behaviour) { b.perSecond = n }) }

func (s *Server) set(f func(*behaviour)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.behaviour)
}

func (s *Server) get() behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}

// wait sleeps also when the client has gone: a request that is under way
// reaches the registry all the same.
func (s *Server) wait() { time.Sleep(s.get().delay) }

// window counts the requests of the current second.
type window struct {
	began time.Time
	n     int
}

// full counts a request, and reports whether it is one too many.
func (s *Server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.window.began) >= time.Second {
		s.window = window{began: now}
	}
	s.window.n++
	return s.behaviour.perSecond > 0 && s.window.n > s.behaviour.perSecond
}

func (s *Server) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.full() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
	})
}
