package registrytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

type entry struct {
	Digest, ArtifactType string
	Annotations          map[string]string
}

func referrers(t *testing.T, s *registrytest.Server, digest, query string) ([]entry, http.Header) {
	t.Helper()
	a := ask(t, s, http.MethodGet, "app/referrers/"+digest+query, "").want(t, "referrers", http.StatusOK)
	var index struct{ Manifests []entry }
	if err := json.Unmarshal([]byte(a.body), &index); err != nil || a.header.Get("Content-Type") != ociIndex {
		t.Fatal(a, err)
	}
	return index.Manifests, a.header
}

// TestReferrers: the artifact type is the manifest's own, or else that of its
// config, and the entries come in the order of the pushes.
func TestReferrers(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	subject := s.Push(t, "app:1")
	var want []entry
	for i := range 20 {
		own := fmt.Sprintf("application/x-%d", i%3)
		if i%3 == 0 {
			own = ""
		}
		d := refer(t, s, subject, own, "application/x-config", i)
		if own == "" {
			own = "application/x-config"
		}
		want = append(want, entry{d, own, map[string]string{"n": fmt.Sprint(i)}})
	}
	refer(t, s, subject, "", "application/x-config", 0) // pushing again does not move it
	got, _ := referrers(t, s, subject, "")
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("referrers\n%v\nwant\n%v", got, want)
	}
}

// TestFilter: the filter works only where it is switched on, and then says so.
func TestFilter(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	subject := s.Push(t, "app:1")
	a := refer(t, s, subject, "application/a", "application/x", 1)
	refer(t, s, subject, "application/b", "application/x", 2)
	const name = "OCI-Filters-Applied"
	for _, tc := range []struct {
		on      bool
		query   string
		n       int
		applied string
	}{
		{false, "?artifactType=application/a", 2, ""},
		{true, "?artifactType=application/a", 1, "artifactType"},
		{true, "?artifactType=application/none", 0, "artifactType"},
		{true, "", 2, ""},
	} {
		s.FilterReferrers(tc.on)
		list, header := referrers(t, s, subject, tc.query)
		if len(list) != tc.n || header.Get(name) != tc.applied || tc.n == 1 && list[0].Digest != a {
			t.Errorf("%+v: %v, %s %q", tc, list, name, header.Get(name))
		}
	}
}

// TestNoReferrers: without the API, and where there is no repository, it is 404.
func TestNoReferrers(t *testing.T) {
	s := registrytest.Start(t, registrytest.Fallback)
	ask(t, s, http.MethodGet, "app/referrers/"+s.Push(t, "app:1"), "").want(t, "fallback", http.StatusNotFound)
	s = registrytest.Start(t, registrytest.Referrers)
	ask(t, s, http.MethodGet, "app/referrers/"+digestOf("x"), "").want(t, "no repository", http.StatusNotFound)
}

// TestImmutableTags: a tag keeps its first manifest; digests and the same
// content are no change.
func TestImmutableTags(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	s.Push(t, "app:1")
	one, two := `{"schemaVersion":2,"n":1}`, `{"schemaVersion":2,"n":2}`
	put := func(ref, body string) answer {
		return ask(t, s, http.MethodPut, "app/manifests/"+ref, body, "Content-Type", ociManifest)
	}
	put("tag", one).want(t, "first", http.StatusCreated)
	put("tag", two).want(t, "mutable", http.StatusCreated)
	s.ImmutableTags(true)
	a := put("tag", one).want(t, "immutable", http.StatusBadRequest)
	if !strings.Contains(a.body, `"code":"TAG_INVALID"`) {
		t.Errorf("body %s", a.body)
	}
	put("tag", two).want(t, "the same", http.StatusCreated)
	put("other", one).want(t, "a new tag", http.StatusCreated)
	put(digestOf(one), one).want(t, "a digest", http.StatusCreated)
	if a := ask(t, s, http.MethodGet, "app/manifests/tag", ""); a.body != two {
		t.Errorf("the tag has %s", a.body)
	}
}

// TestRequireBlobs: a manifest comes after what it names, in its repository.
func TestRequireBlobs(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	s.RequireBlobs(true)
	subject := s.Push(t, "app:1")
	if s.PushIndex(t, "app:2", "linux/amd64") == "" {
		t.Error("an index was not taken")
	}
	body := `{"schemaVersion":2,"config":{"digest":"` + digestOf("{}") + `"},"layers":[{"digest":"` + digestOf("layer") + `"}],"subject":{"digest":"` + subject + `"}}`
	put := func() answer {
		return ask(t, s, http.MethodPut, "app/manifests/tag", body, "Content-Type", ociManifest)
	}
	if a := put().want(t, "no blobs", http.StatusBadRequest); !strings.Contains(a.body, `"code":"MANIFEST_BLOB_UNKNOWN"`) {
		t.Errorf("body %s", a.body)
	}
	upload := func(repo, content string) {
		ask(t, s, http.MethodPost, repo+"/blobs/uploads/?digest="+digestOf(content), content).want(t, "upload", http.StatusCreated)
	}
	upload("app", "{}")
	upload("other", "layer")
	put().want(t, "the layer is elsewhere", http.StatusBadRequest)
	upload("app", "layer")
	put().want(t, "all there", http.StatusCreated)
}

// TestImmutableRace: of many writers of one tag, one wins.
func TestImmutableRace(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	s.Push(t, "app:1")
	s.ImmutableTags(true)
	codes := make(chan int, 8)
	for i := range cap(codes) {
		go func() {
			codes <- ask(t, s, http.MethodPut, "app/manifests/tag", fmt.Sprintf(`{"n":%d}`, i), "Content-Type", ociManifest).status
		}()
	}
	var got []int
	for range cap(codes) {
		got = append(got, <-codes)
	}
	slices.Sort(got)
	if got[0] != http.StatusCreated || got[1] != http.StatusBadRequest {
		t.Errorf("answers %v", got)
	}
}
