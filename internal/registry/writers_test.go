package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
	"github.com/signgate/signgate/internal/retry"
)

func settling(settle time.Duration) *registry.Client {
	return registry.New(registry.Options{Keychain: keychain{}, Retry: retry.Policy{Attempts: 1}, Settle: settle})
}

// TestOverwritten: another writer replaces a signature tag with what it knew
// before. With the referrers API the next writer brings back what was lost;
// what others wrote stays byte for byte.
func TestOverwritten(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	tag := registry.SignatureTag(s.Digest)
	must := func(text string) {
		t.Helper()
		if _, err := attach(t.Context(), newClient(1), s, attachments(text)[:1]); err != nil {
			t.Fatal(err)
		}
	}
	must("first")
	before, _, err := c.Manifest(t.Context(), s.Repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	must("second")
	put(t, s, tag, image.OCIManifest, string(before.Body)) // second is gone from the tag
	must("third")
	if got := list(t, newClient(1), s); len(got) != 3 {
		t.Errorf("listed %q, want three", got)
	}
}

// TestHistorySparesReading: versions that the tag's history has are not
// fetched.
func TestHistorySparesReading(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	s := pushed(t, newClient(1), server, "app:1")
	for i := range 5 {
		server.Requests()
		if _, err := attach(t.Context(), newClient(1), s, attachments(fmt.Sprint("entry ", i))[:1]); err != nil {
			t.Fatal(err)
		}
		if n := count(server.Requests(), "GET /v2/app/manifests/sha256:"); n != 0 {
			t.Errorf("writer %d fetched %d versions", i, n)
		}
	}
}

// TestSettle: without the referrers API a write that is lost while the run
// settles is written again, and the lists are read once when nothing is lost.
func TestSettle(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := settling(200 * time.Millisecond)
	s := pushed(t, c, server, "app:1")
	tag := registry.FallbackTag(s.Digest)
	p, err := c.Attach(t.Context(), s, c.View(s), attachments("ours"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, tag, image.OCIIndex, `{"schemaVersion":2,"mediaType":"`+image.OCIIndex+`","manifests":[]}`)
	began := time.Now()
	if err := c.Settle(t.Context()); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("settled after %s: %v", time.Since(began), err)
	}
	if _, err := c.Confirm(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := list(t, newClient(1), s); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
}

// TestNothingToSettle: with the referrers API there is no waiting.
func TestNothingToSettle(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := settling(time.Hour)
	s := pushed(t, c, server, "app:1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := attach(ctx, c, s, attachments("ours")); err != nil {
		t.Error(err)
	}
}

// TestStaleReading: a tag that was read long ago is read again before it is
// written.
func TestStaleReading(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := settling(20 * time.Millisecond)
	s := pushed(t, c, server, "app:1")
	v := c.View(s)
	v.Read(t.Context(), envelope.Formats()...)
	if _, err := attach(t.Context(), newClient(1), s, attachments("between")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if _, err := c.Attach(t.Context(), s, v, attachments("ours")); err != nil {
		t.Fatal(err)
	}
	if got := list(t, newClient(1), s); len(got) != 4 {
		t.Errorf("listed %q, want two of each", got)
	}
}

// TestManyWriters: eight clients at once, in each mode.
func TestManyWriters(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			server := registrytest.Start(t, mode)
			s := pushed(t, newClient(1), server, "app:1")
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if _, err := attach(context.Background(), settling(200*time.Millisecond), s, attachments(fmt.Sprint("writer ", i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := list(t, newClient(1), s); len(got) != 16 {
				t.Errorf("%d of 16 survived", len(got))
			}
		})
	}
}

// TestForgetful: a registry with the referrers API that loses an entry gets
// the manifest again.
func TestForgetful(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	asked := 0
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		if asked++; asked > 2 {
			return false
		}
		w.Header().Set("Content-Type", image.OCIIndex)
		_, _ = w.Write([]byte(`{"schemaVersion":2,"manifests":[]}`))
		return true
	})
	server.Requests()
	if _, err := attach(t.Context(), c, s, attachments("x")); err != nil {
		t.Fatal(err)
	}
	if n := count(server.Requests(), "PUT /v2/app/manifests/sha256:"); n != 3 {
		t.Errorf("%d manifests pushed by digest, want the bundle twice and the version once", n)
	}
}

// TestImmutable: where the signature tag cannot be replaced the bundle is kept;
// where the fallback tag cannot, nothing could be found.
func TestImmutable(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Fallback} {
		server := registrytest.Start(t, mode)
		server.ImmutableTags(true)
		s := pushed(t, newClient(1), server, "app:1")
		if p, err := attach(t.Context(), newClient(1), s, attachments("first")); err != nil || len(p.Refused) > 0 {
			t.Fatal(mode, err, p.Refused)
		}
		p, err := attach(t.Context(), newClient(1), s, attachments("second"))
		if mode == registrytest.Fallback {
			if fault.CodeOf(err) != "tag_immutable" || fault.OutcomeOf(err) != fault.Undecided {
				t.Errorf("fallback tag: %v", err)
			}
			continue
		}
		if err != nil || fault.CodeOf(p.Refused[envelope.SimpleSigning]) != "tag_immutable" {
			t.Errorf("signature tag: %v, %v", err, p.Refused)
		}
		got := list(t, newClient(1), s)
		if bundles := slices.DeleteFunc(got, func(g string) bool { return strings.HasPrefix(g, string(envelope.SimpleSigning)) }); len(bundles) != 2 {
			t.Errorf("bundles %q, want both", bundles)
		}
	}
}

// TestTidy: a replaced fallback index is deleted, and never an image that
// somebody put at that tag.
func TestTidy(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	tag := registry.FallbackTag(s.Digest)
	for i := range 3 {
		if _, err := attach(t.Context(), newClient(1), s, attachments(fmt.Sprint("entry ", i))[1:]); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(server.Requests(), "DELETE "); n != 2 {
		t.Errorf("%d indexes deleted, want the two that were replaced", n)
	}
	platform := `{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[{"mediaType":"` + image.OCIManifest + `","digest":"` + s.Digest + `","size":` + fmt.Sprint(s.Size) + `,"platform":{"os":"linux","architecture":"amd64"}}]}`
	put(t, s, tag, image.OCIIndex, platform)
	if _, err := attach(t.Context(), newClient(1), s, attachments("more")[1:]); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Manifest(t.Context(), s.Repository, image.DigestOf([]byte(platform))); p != registry.Found || err != nil {
		t.Errorf("the index of platforms is gone: %v, %v", p, err)
	}
}

// TestImageAtFallbackTag: an image index that a copy tool put at its own
// fallback tag lists no referrers and is not changed.
func TestImageAtFallbackTag(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := newClient(1)
	digest := server.PushIndex(t, "app:1", "linux/amd64")
	m, _, err := c.Manifest(t.Context(), server.Host+"/app", digest)
	if err != nil {
		t.Fatal(err)
	}
	s := image.Subject{Repository: server.Host + "/app", Digest: digest, MediaType: m.MediaType, Size: int64(len(m.Body))}
	put(t, s, registry.FallbackTag(digest), m.MediaType, string(m.Body))
	if got := list(t, c, s); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	if err := c.View(s).CheckFallback(t.Context()); fault.CodeOf(err) != "signature_malformed" {
		t.Errorf("CheckFallback: %v", err)
	}
}

// TestKeepsForeignVersions: what another tool added to a version that was then
// overwritten comes back with members that signgate does not know.
func TestKeepsForeignVersions(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	tag := registry.SignatureTag(s.Digest)
	if _, err := attach(t.Context(), c, s, attachments("first")[:1]); err != nil {
		t.Fatal(err)
	}
	first, _, err := c.Manifest(t.Context(), s.Repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	layer := `{"mediaType":"` + simplesigning.MediaType + `","digest":"` + image.DigestOf([]byte("{}")) + `","size":2,"x-unknown":{"b":1,"a":2}}`
	put(t, s, tag, image.OCIManifest, strings.Replace(string(first.Body), `"layers":[`, `"layers":[`+layer+`,`, 1))
	put(t, s, tag, image.OCIManifest, string(first.Body))
	if _, err := attach(t.Context(), newClient(1), s, attachments("second")[:1]); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(t.Context(), s.Repository, tag)
	if err != nil || !strings.Contains(string(m.Body), layer) {
		t.Errorf("%s, %v; lacks %s", m.Body, err, layer)
	}
}
