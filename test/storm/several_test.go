package storm

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// several returns three images in three repositories of one registry.
func several(t *testing.T, mode registrytest.Mode) (server *registrytest.Server, images []*target) {
	t.Helper()
	server = registrytest.Start(t, mode)
	for _, repo := range []string{"one", "two", "three"} {
		x := &target{Server: server, repo: repo, store: repo, key: keyring(t, 1)[0]}
		x.digest = x.Push(t, repo+":1.0")
		images = append(images, x)
	}
	return server, images
}

// TestSeveral: an image that cannot be signed does not stop the others, and the
// report says what landed.
func TestSeveral(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		for _, where := range []string{"(POST|PUT|PATCH) .*/two/", "PUT .*/two/manifests/", ".*/two/"} {
			t.Run(string(mode)+" "+where, func(t *testing.T) {
				server, images := several(t, mode)
				images[1].at(where, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
				args := append([]string{"sign", "--key", images[0].key.private}, images[0].login()...)
				for _, x := range images {
					args = append(args, x.image()+"@"+x.digest)
				}
				e := signgate(t, args...).exits(t, "sign", 3)
				e.named(t, "sign")
				server.Intercept(nil)
				checkSeveral(t, images, e)
			})
		}
	}
}

func checkSeveral(t *testing.T, images []*target, e ended) {
	t.Helper()
	for i, x := range images {
		s := e.subject(x)
		if i == 1 {
			if s.Outcome == "passed" || s.Signed != 0 || len(s.Findings) == 0 || s.Findings[0].Code != "registry_denied" {
				t.Errorf("the image that was denied: %+v", s)
			}
			continue
		}
		if s.Outcome != "passed" || s.Signed != 2 || len(s.Written) == 0 {
			t.Errorf("%s: %+v\n%s", x.repo, s, e)
		}
		x.held(t).check(t, x.repo, x, bundle, simplesigning)
	}
	if h := images[1].held(t); len(h.layers) > 0 {
		t.Errorf("the image that was denied has %v", h)
	}
}

// subject returns what the report says of an image.
func (e ended) subject(x *target) subject {
	for _, s := range e.report.Subjects {
		if strings.HasSuffix(s.Repository, "/"+x.repo) {
			return s
		}
	}
	return subject{}
}

// TestSignatureRepository: signatures may go to a repository of their own.
func TestSignatureRepository(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		x := newTarget(t, mode)
		x.store = "signatures"
		x.sign(t, both).exits(t, string(mode), 0)
		for _, r := range x.Requests() {
			if !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") && strings.Contains(r, "/v2/app/") {
				t.Errorf("%s: wrote to the repository of the image: %s", mode, r)
			}
		}
		here := *x
		here.store = x.repo
		for _, f := range []string{bundle, simplesigning} {
			x.verify(t, f).exits(t, f, 0)
			here.verify(t, f).exits(t, f+" in the repository of the image", 1)
		}
		x.held(t).check(t, string(mode), x, bundle, simplesigning)
		x.Requests()
		x.sign(t, both).exits(t, "again", 0)
		if n := x.Writes(); n != 0 {
			t.Errorf("%s: signing again wrote %d times", mode, n)
		}
	}
}
