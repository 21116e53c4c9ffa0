package registrytest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestSinglePost: one POST uploads a blob, or begins an upload.
func TestSinglePost(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	post := func(content string) answer {
		return ask(t, s, http.MethodPost, "app/blobs/uploads/?digest="+digestOf(content), content, "Content-Type", "application/octet-stream")
	}
	post("one").want(t, "default", http.StatusCreated)
	ask(t, s, http.MethodGet, "app/blobs/"+digestOf("one"), "").want(t, "uploaded", http.StatusOK)
	s.SinglePost(false)
	location := post("two").want(t, "switched off", http.StatusAccepted).header.Get("Location")
	ask(t, s, http.MethodGet, "app/blobs/"+digestOf("two"), "").want(t, "not uploaded", http.StatusNotFound)
	path, ok := strings.CutPrefix(location, "/v2/")
	if !ok {
		t.Fatalf("Location %q", location)
	}
	ask(t, s, http.MethodPut, path+"?digest="+digestOf("other"), "two").want(t, "wrong digest", http.StatusBadRequest)
	ask(t, s, http.MethodGet, "app/blobs/"+digestOf("other"), "").want(t, "refused", http.StatusNotFound)
	ask(t, s, http.MethodPut, path+"?digest="+digestOf("two"), "two").want(t, "PUT", http.StatusCreated)
	if a := ask(t, s, http.MethodGet, "app/blobs/"+digestOf("two"), ""); a.body != "two" {
		t.Errorf("the blob is %q", a.body)
	}
}

// TestMount: a blob is in the repositories that it was uploaded or mounted to.
func TestMount(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	blob := digestOf("one")
	ask(t, s, http.MethodPost, "from/blobs/uploads/?digest="+blob, "one").want(t, "upload", http.StatusCreated)
	ask(t, s, http.MethodHead, "to/blobs/"+blob, "").want(t, "before", http.StatusNotFound)
	mount := func(digest, from string) answer {
		return ask(t, s, http.MethodPost, "to/blobs/uploads/?mount="+digest+"&from="+from, "")
	}
	for _, miss := range []answer{mount(digestOf("two"), "from"), mount(blob, "elsewhere"), mount(blob, "")} {
		if miss.want(t, "miss", http.StatusAccepted); miss.header.Get("Location") == "" {
			t.Error("no Location")
		}
	}
	ask(t, s, http.MethodHead, "to/blobs/"+blob, "").want(t, "after misses", http.StatusNotFound)
	a := mount(blob, "from").want(t, "mount", http.StatusCreated)
	if a.header.Get("Location") != "/v2/to/blobs/"+blob || a.header.Get("Docker-Content-Digest") != blob {
		t.Errorf("header %v", a.header)
	}
	ask(t, s, http.MethodHead, "to/blobs/"+blob, "").want(t, "after", http.StatusOK)
}

// TestMountToken: a mount needs to read the other repository.
func TestMountToken(t *testing.T) {
	s := registrytest.Start(t, registrytest.Token)
	a := ask(t, s, http.MethodPost, "to/blobs/uploads/?mount="+digestOf("x")+"&from=from", "").want(t, "mount", http.StatusUnauthorized)
	if c := a.header.Get("WWW-Authenticate"); !strings.Contains(c, `scope="repository:to:push repository:from:pull"`) {
		t.Errorf("challenge %s", c)
	}
}
