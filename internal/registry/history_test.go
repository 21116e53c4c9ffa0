package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
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

// tagOf is the signature tag of an image, and what happens to it.
type tagOf struct {
	t      *testing.T
	server *registrytest.Server
	s      image.Subject
}

func newTag(t *testing.T) tagOf {
	server := registrytest.Start(t, registrytest.Referrers)
	return tagOf{t, server, pushed(t, newClient(1), server, "app:1")}
}

func (x tagOf) sign(text string) {
	x.t.Helper()
	if _, err := attach(x.t.Context(), newClient(1), x.s, attachments(text)[:1]); err != nil {
		x.t.Fatal(err)
	}
}

// die writes and does not come to confirm it.
func (x tagOf) die(text string) {
	x.t.Helper()
	c := newClient(1)
	if _, err := c.Attach(x.t.Context(), x.s, c.View(x.s), attachments(text)[:1]); err != nil {
		x.t.Fatal(err)
	}
}

func (x tagOf) body() string {
	x.t.Helper()
	m, _, err := newClient(1).Manifest(x.t.Context(), x.s.Repository, registry.SignatureTag(x.s.Digest))
	if err != nil {
		x.t.Fatal(err)
	}
	return string(m.Body)
}

func (x tagOf) set(body string) {
	x.t.Helper()
	put(x.t, x.s, registry.SignatureTag(x.s.Digest), image.OCIManifest, body)
}

func (x tagOf) want(layers int) {
	x.t.Helper()
	if got := strings.Count(x.body(), `"`+simplesigning.MediaType); got != layers {
		x.t.Errorf("%d layers at the tag, want %d", got, layers)
	}
}

// absent makes the registry answer that a manifest is not there.
func (x tagOf) absent(digest string) {
	x.server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		gone := r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest)
		if gone {
			w.WriteHeader(http.StatusNotFound)
		}
		return gone
	})
}

// TestManyVersions: any number of overwritten versions comes back.
func TestManyVersions(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	base := x.body()
	for i := range 80 {
		x.die(fmt.Sprint("lost ", i))
		x.set(base)
	}
	x.sign("last")
	x.want(82)
}

// TestAbsentVersion: a version that is listed and not there, for a moment, is
// not taken for merged.
func TestAbsentVersion(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	base := x.body()
	x.die("lost")
	lost := image.DigestOf([]byte(x.body()))
	x.set(base)
	x.die("other")
	x.set(base)
	x.absent(lost)
	x.sign("second")
	x.server.Intercept(nil)
	x.sign("third")
	x.want(5)
}

// TestUntypedVersions: a registry that does not tell artifact types, and a
// version above the size of a bundle's manifest.
func TestUntypedVersions(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	base := x.body()
	x.sign("second")
	x.set(base)
	listed := referrersOf(t, x.server, x.s)
	for i := range listed {
		listed[i] = strings.ReplaceAll(listed[i], `"artifactType":"application/vnd.dev.cosign.artifact.sig.v1+json"`, `"x":""`)
	}
	serveReferrers(x.server, listed)
	x.sign("third")
	x.want(3)
}

func TestLargeVersion(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	base := x.body()
	var layers strings.Builder
	for i := range 200 {
		fmt.Fprintf(&layers, `{"mediaType":%q,"digest":"sha256:%064x","size":2,"annotations":{"dev.sigstore.cosign/certificate":%q}},`, simplesigning.MediaType, i, strings.Repeat("c", 6000))
	}
	x.set(strings.Replace(base, `"layers":[`, `"layers":[`+layers.String(), 1))
	x.set(base)
	x.sign("second")
	x.want(202)
}

// TestLayerLimit: no more layers are written than readers read.
func TestLayerLimit(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	var layers strings.Builder
	for i := range 999 {
		fmt.Fprintf(&layers, `{"mediaType":%q,"digest":"sha256:%064x","size":2},`, simplesigning.MediaType, i)
	}
	x.set(strings.Replace(x.body(), `"layers":[`, `"layers":[`+layers.String(), 1))
	_, err := attach(t.Context(), newClient(1), x.s, attachments("one more")[:1])
	if fault.CodeOf(err) != "limit_exceeded" {
		t.Error(err)
	}
	x.want(1000)
}

// TestDeadWriter: who finds that the tag lacks a version merges it, also with
// nothing to write.
func TestDeadWriter(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	base := x.body()
	x.sign("second")
	x.set(base)
	c := newClient(1)
	v := c.View(x.s)
	v.Read(t.Context(), envelope.Formats()...)
	if !v.Behind(t.Context(), envelope.SimpleSigning) {
		t.Fatal("not behind")
	}
	p, err := c.Attach(t.Context(), x.s, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Confirm(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	x.want(2)
}

// TestNewRepository: two writers meet a repository that does not exist yet, so
// that neither knows about the referrers API at first.
func TestNewRepository(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	s := pushed(t, newClient(1), server, "app:1")
	elsewhere := func() *registry.Client {
		return registry.New(registry.Options{Keychain: keychain{}, Store: server.Host + "/signatures"})
	}
	a, b := elsewhere(), elsewhere()
	va, vb := a.View(s), b.View(s)
	va.Read(t.Context(), envelope.Formats()...)
	vb.Read(t.Context(), envelope.Formats()...)
	pa, err := a.Attach(t.Context(), s, va, attachments("a")[:1])
	if err != nil {
		t.Fatal(err)
	}
	pb, err := b.Attach(t.Context(), s, vb, attachments("b")[:1]) // has not seen a
	if err != nil {
		t.Fatal(err)
	}
	for c, p := range map[*registry.Client]*registry.Placed{a: pa, b: pb} {
		if _, err := c.Confirm(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, elsewhere(), s); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
}

// TestProbeFails: whether there is a referrers API is not guessed.
func TestProbeFails(t *testing.T) {
	x := newTag(t)
	x.server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		fails := strings.Contains(r.URL.Path, "/referrers/")
		if fails {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return fails
	})
	_, err := attach(t.Context(), newClient(1), x.s, attachments("x")[:1])
	if fault.CodeOf(err) != "registry_unavailable" {
		t.Error(err)
	}
	if n := count(x.server.Requests(), "PUT /v2/app/manifests/sha256-"); n != 0 {
		t.Errorf("%d tags written", n)
	}
}

// TestThrottledWrite: a write that is put off is not made by the old reading.
func TestThrottledWrite(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	s := pushed(t, newClient(1), server, "app:1")
	var hit atomic.Int32
	second := make(chan struct{})
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, registry.FallbackTag(s.Digest)) || hit.Add(1) > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		close(second)
		return true
	})
	patient := func() *registry.Client {
		return registry.New(registry.Options{Keychain: keychain{}, Retry: retry.Policy{Attempts: 5, Base: time.Millisecond}, Settle: 100 * time.Millisecond})
	}
	done := make(chan error)
	go func() {
		_, err := attach(context.Background(), patient(), s, attachments("throttled")[1:])
		done <- err
	}()
	<-second
	if _, err := attach(t.Context(), patient(), s, attachments("other")[1:]); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := list(t, newClient(1), s); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
}

// TestNotImmutable: a registry that has not seen a blob yet does not forbid to
// replace the tag, and of two first writers the second one meets a tag that
// was not there.
func TestNotImmutable(t *testing.T) {
	x := newTag(t)
	x.sign("first")
	x.server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		lags := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".sig")
		if lags {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}`)
		}
		return lags
	})
	if p, err := attach(t.Context(), newClient(2), x.s, attachments("second")[:1]); fault.CodeOf(err) != "registry_unavailable" || len(p.Refused) > 0 {
		t.Errorf("%v, %v", p.Refused, err)
	}
	y := newTag(t)
	y.server.ImmutableTags(true)
	c := newClient(1)
	v := c.View(y.s)
	v.Read(t.Context(), envelope.Formats()...)
	y.sign("first")
	if p, err := c.Attach(t.Context(), y.s, v, attachments("second")); err != nil || fault.CodeOf(p.Refused[envelope.SimpleSigning]) != "tag_immutable" {
		t.Errorf("%v, %v", p.Refused, err)
	}
}
