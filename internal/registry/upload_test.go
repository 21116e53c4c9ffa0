package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

func count(requests []string, prefix string) (n int) {
	for _, r := range requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// TestUpload: one POST for a blob where the registry takes that, POST and PUT
// where it does not, found out once.
func TestUpload(t *testing.T) {
	for _, tc := range []struct {
		name       string
		setUp      func(s *registrytest.Server)
		post, puts int // PUTs of blobs
	}{
		{"in one request", func(*registrytest.Server) {}, 4, 0},
		{"ignored digest", func(s *registrytest.Server) { s.SinglePost(false) }, 4, 4},
		{"refused", func(s *registrytest.Server) {
			s.SinglePost(false)
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || r.URL.Query().Get("digest") == "" {
					return false
				}
				w.WriteHeader(http.StatusMethodNotAllowed)
				return true
			})
		}, 8, 4},
	} {
		server := registrytest.Start(t, registrytest.Referrers)
		tc.setUp(server)
		c := newClient(1)
		s := pushed(t, c, server, "app:1")
		server.Requests()
		if _, err := attach(t.Context(), c, s, attachments("x")); err != nil {
			t.Fatal(tc.name, err)
		}
		got := server.Requests()
		if posts, puts := count(got, "POST "), count(got, "PUT /v2/app/blobs/"); posts > tc.post || puts != tc.puts {
			t.Errorf("%s: %d POST, %d PUT of blobs:\n%s", tc.name, posts, puts, strings.Join(got, "\n"))
		}
		if got := list(t, newClient(1), s); len(got) != 2 {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

// TestMount: a blob that this run has put into another repository of the host
// is mounted, where blobs take two requests, also behind tokens.
func TestMount(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Token} {
		server := registrytest.Start(t, mode)
		server.SinglePost(false)
		c := newClient(1)
		one, two := pushed(t, c, server, "one:1"), pushed(t, c, server, "two:1")
		if _, err := attach(t.Context(), c, one, attachments("x")[1:]); err != nil {
			t.Fatal(err)
		}
		server.Requests()
		if _, err := attach(t.Context(), c, two, attachments("y")[1:]); err != nil {
			t.Fatal(err)
		}
		got := server.Requests()
		if puts := count(got, "PUT /v2/two/blobs/"); puts != 1 {
			t.Errorf("%s: %d blobs uploaded, want 1, the other one mounted:\n%s", mode, puts, strings.Join(got, "\n"))
		}
		if tokens := count(got, "GET /token"); mode == registrytest.Token && tokens != 1 {
			t.Errorf("%d tokens, want one that is good for both repositories", tokens)
		}
		if got := list(t, newClient(1), two); len(got) != 1 {
			t.Errorf("%s: %q", mode, got)
		}
	}
}

// TestBlobsOnce: a blob that two subjects need is uploaded once.
func TestBlobsOnce(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	one, two := pushed(t, c, server, "app:1"), pushed(t, c, server, "app:2")
	server.Requests()
	for _, s := range []image.Subject{one, two} {
		if _, err := attach(t.Context(), c, s, attachments("same")[1:]); err != nil {
			t.Fatal(err)
		}
	}
	if posts := count(server.Requests(), "POST "); posts != 2 {
		t.Errorf("%d uploads, want the empty config and one bundle", posts)
	}
}
