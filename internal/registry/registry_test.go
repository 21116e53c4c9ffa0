package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
	"github.com/signgate/signgate/internal/retry"
)

// keychain answers with the credentials of the mode Token.
type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: registrytest.User, Password: registrytest.Password}, nil
}

func newClient(attempts int) *registry.Client {
	return registry.New(registry.Options{Keychain: keychain{}, Retry: retry.Policy{Attempts: attempts, Base: time.Millisecond}, UserAgent: "test"})
}

func pushed(t *testing.T, c *registry.Client, s *registrytest.Server, repoTag string) image.Subject {
	digest := s.Push(t, repoTag)
	repo := s.Host + "/" + strings.Split(repoTag, ":")[0]
	m, found, err := c.Manifest(t.Context(), repo, digest)
	if err != nil || found != registry.Found {
		t.Fatal(found, err)
	}
	return image.Subject{Repository: repo, Digest: m.Digest, MediaType: m.MediaType, Size: int64(len(m.Body))}
}

// attachments returns one attachment in each format with recognisable content.
func attachments(text string) []envelope.Attachment {
	a := simplesigning.Seal([]byte(`{"payload":"`+text+`"}`), []byte(text), "sha256:00")
	b, err := bundle.Seal([]byte(`{"statement":"`+text+`"}`), []byte(text), envelope.SignaturePredicate, "sha256:00")
	if err != nil {
		panic(err)
	}
	return []envelope.Attachment{a, b}
}

// attach does what a run does: attach, settle, confirm.
func attach(ctx context.Context, c *registry.Client, s image.Subject, as []envelope.Attachment) (*registry.Placed, error) {
	p, err := c.Attach(ctx, s, c.View(s), as)
	if err == nil {
		err = c.Settle(ctx)
	}
	if err == nil {
		_, err = c.Confirm(ctx, p)
	}
	return p, err
}

// list returns the blobs of all candidates, and fails on any error.
func list(t *testing.T, c *registry.Client, s image.Subject) []string {
	var out []string
	for candidate, err := range c.View(s).Candidates(t.Context(), s, envelope.Want{}) {
		if err != nil {
			t.Fatalf("Candidates: %v", err)
		}
		out = append(out, string(candidate.Format)+" "+string(candidate.Blob))
	}
	slices.Sort(out)
	return out
}

// TestModes is the contract of the three modes: what is attached is listed,
// once, beside what was there.
func TestModes(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			server := registrytest.Start(t, mode)
			c := newClient(1)
			s := pushed(t, c, server, "app:1")
			if got := list(t, c, s); len(got) != 0 {
				t.Fatalf("before: %v", got)
			}
			var want []string
			for i := range 3 {
				as := attachments(fmt.Sprint("entry ", i))
				if _, err := attach(t.Context(), c, s, as); err != nil {
					t.Fatal(err)
				}
				for _, a := range as {
					want = append(want, string(a.Format)+" "+string(a.Blob))
				}
			}
			slices.Sort(want)
			if got := list(t, newClient(1), s); !slices.Equal(got, want) {
				t.Errorf("listed %q, want %q", got, want)
			}
		})
	}
}

// TestConcurrentWriters: eight clients sign one digest at once, and all
// signatures survive.
func TestConcurrentWriters(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Token} {
		server := registrytest.Start(t, mode)
		s := pushed(t, newClient(1), server, "app:1")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := attach(context.Background(), newClient(1), s, attachments(fmt.Sprint("writer ", i))[1:]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := list(t, newClient(1), s); len(got) != 8 {
			t.Errorf("%s: %d of 8 bundles survived", mode, len(got))
		}
	}
}

func put(t *testing.T, s image.Subject, ref, mediaType, body string) {
	host, repo, _ := strings.Cut(s.Repository, "/")
	req, err := http.NewRequest(http.MethodPut, "http://"+host+"/v2/"+repo+"/manifests/"+ref, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

// TestKeepsForeignEntries: entries of other tools survive byte for byte, with
// members that signgate does not know.
func TestKeepsForeignEntries(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	foreign := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + server.Push(t, "app:other") + `","size":1,"artifactType":"application/x","urls":["https://example"],"x-unknown":{"b":1,"a":[2]}}`
	put(t, s, registry.FallbackTag(s.Digest), image.OCIIndex, `{"schemaVersion":2,"mediaType":"`+image.OCIIndex+`","manifests":[`+foreign+`],"x-top":"kept"}`)
	layer := `{"mediaType":"application/x-foreign","digest":"sha256:` + strings.Repeat("b", 64) + `","size":1,"x-unknown":true}`
	put(t, s, registry.SignatureTag(s.Digest), image.OCIManifest, `{"schemaVersion":2,"mediaType":"`+image.OCIManifest+`","config":{"mediaType":"application/x","digest":"sha256:`+strings.Repeat("c", 64)+`","size":1},"layers":[`+layer+`],"annotations":{"x":"kept"}}`)
	if _, err := attach(t.Context(), c, s, attachments("ours")); err != nil {
		t.Fatal(err)
	}
	for tag, wants := range map[string][]string{
		registry.FallbackTag(s.Digest):  {foreign, `"x-top":"kept"`, bundle.MediaType},
		registry.SignatureTag(s.Digest): {layer, `"annotations":{"x":"kept"}`, simplesigning.MediaType},
	} {
		m, _, err := c.Manifest(t.Context(), s.Repository, tag)
		for _, want := range wants {
			if err != nil || !strings.Contains(string(m.Body), want) {
				t.Errorf("%s: %s, %v; lacks %s", tag, m.Body, err, want)
			}
		}
	}
}

// TestFallbackEntry: the entry carries the referrer's artifact type and
// annotations, as the specification asks.
func TestFallbackEntry(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	if _, err := attach(t.Context(), c, s, attachments("x")[1:]); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(t.Context(), s.Repository, registry.FallbackTag(s.Digest))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct {
			ArtifactType string
			Annotations  map[string]string
		}
	}
	if err := json.Unmarshal(m.Body, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatal(string(m.Body), err)
	}
	e := index.Manifests[0]
	if e.ArtifactType != bundle.MediaType || e.Annotations[bundle.PredicateTypeAnnotation] != envelope.SignaturePredicate {
		t.Errorf("entry %+v", e)
	}
}

// TestLostWrite: another writer replaces the index between our write and our
// reading it again; the entry is written again, and theirs stays.
func TestLostWrite(t *testing.T) {
	server := registrytest.Start(t, registrytest.Fallback)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	tag := registry.FallbackTag(s.Digest)
	theirs := server.Push(t, "app:other")
	other := `{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[{"mediaType":"` + image.OCIManifest + `","digest":"` + theirs + `","size":1}]}`
	var once sync.Once
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		lost := false
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, tag) {
			once.Do(func() { lost = true })
		}
		if lost { // ours is accepted and replaced at once
			server.Intercept(nil)
			put(t, s, tag, image.OCIIndex, other)
			w.WriteHeader(http.StatusCreated)
		}
		return lost
	})
	if _, err := attach(t.Context(), c, s, attachments("ours")[1:]); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(t.Context(), s.Repository, tag)
	if err != nil || !strings.Contains(string(m.Body), theirs) || !strings.Contains(string(m.Body), bundle.MediaType) {
		t.Errorf("%s, %v", m.Body, err)
	}
}

// TestAnswers: what a registry may say, and what it means.
func TestAnswers(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	s := pushed(t, newClient(1), server, "app:1")
	for _, tc := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		code   string
	}{
		{"other bytes than the digest names", 200, map[string]string{"Content-Type": image.OCIManifest}, `{"other":1}`, "content_mismatch"},
		{"a manifest above the limit", 200, nil, strings.Repeat(" ", registry.MaxManifest+1), "limit_exceeded"},
		{"forbidden", 403, nil, `{"errors":[{"code":"DENIED","message":"::error::x"}]}`, "registry_denied"},
		{"throttled", 429, nil, "", "registry_throttled"},
		{"down", 502, nil, "<html>", "registry_unavailable"},
		{"teapot", 418, nil, "", "registry_error"},
	} {
		server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			for k, v := range tc.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
			return true
		})
		_, found, err := newClient(1).Manifest(t.Context(), s.Repository, s.Digest)
		if found != registry.Unknown || fault.CodeOf(err) != tc.code || strings.Contains(err.Error(), "::error") {
			t.Errorf("%s: found %v, %v; want %s", tc.name, found, err, tc.code)
		}
	}
}

// TestReferrersAPI: paging, and what must not be followed or believed.
func TestReferrersAPI(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	for i := range 2 {
		if _, err := attach(t.Context(), c, s, attachments(fmt.Sprint("entry ", i))[1:]); err != nil {
			t.Fatal(err)
		}
	}
	m, err := http.Get("http://" + server.Host + "/v2/app/referrers/" + s.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Body.Close()
	var index struct{ Manifests []json.RawMessage }
	if err := json.NewDecoder(m.Body).Decode(&index); err != nil || len(index.Manifests) != 2 {
		t.Fatal(index, err)
	}
	page := func(i int) string {
		return `{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[` + string(index.Manifests[i]) + `]}`
	}
	pages := func(link string) {
		server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.Header().Set("Content-Type", image.OCIIndex)
			if r.URL.Query().Get("page") == "2" {
				_, _ = io.WriteString(w, page(1))
				return true
			}
			w.Header().Set("Link", link)
			_, _ = io.WriteString(w, page(0))
			return true
		})
	}
	pages(`</v2/app/referrers/` + s.Digest + `?page=2>; rel="next"`)
	if got := list(t, newClient(1), s); len(got) != 2 {
		t.Errorf("two pages: %q", got)
	}
	pages(`<http://127.0.0.2:1/v2/app/referrers/x>; rel="next"`)
	if _, err := newClient(1).View(s).Attached(t.Context()); fault.CodeOf(err) != "registry_error" {
		t.Errorf("a next page on another host: %v", err)
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		if r.URL.Query().Get("page") == "2" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		w.Header().Set("Content-Type", image.OCIIndex)
		w.Header().Set("Link", `</v2/app/referrers/`+s.Digest+`?page=2>; rel="next"`)
		_, _ = io.WriteString(w, page(0))
		return true
	})
	if _, err := newClient(1).View(s).Attached(t.Context()); fault.CodeOf(err) != "registry_error" {
		t.Errorf("a second page that is missing: %v", err)
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			_, _ = io.WriteString(w, "<html>maintenance</html>")
			return true
		}
		return false
	})
	if _, err := newClient(1).View(s).Attached(t.Context()); fault.CodeOf(err) != "registry_error" {
		t.Errorf("a page of HTML: %v", err)
	}
	pages(`</v2/app/referrers/` + s.Digest + `>; rel="next"`)
	if _, err := newClient(1).View(s).Attached(t.Context()); fault.CodeOf(err) != "limit_exceeded" {
		t.Errorf("pages without end: %v", err)
	}
}

// TestCredentialsStay: a redirect to another host gets no credentials.
func TestCredentialsStay(t *testing.T) {
	server := registrytest.Start(t, registrytest.Token)
	var leaked sync.Map
	elsewhere := registrytest.Start(t, registrytest.Referrers)
	elsewhere.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked.Store(r.URL.Path, a)
		}
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	s := pushed(t, newClient(1), server, "app:1")
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		http.Redirect(w, r, "http://"+strings.Replace(elsewhere.Host, "127.0.0.1", "localhost", 1)+"/x", http.StatusTemporaryRedirect)
		return true
	})
	if _, found, err := newClient(1).Manifest(t.Context(), s.Repository, s.Digest); found != registry.Absent || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	leaked.Range(func(path, value any) bool { t.Errorf("%v got %v", path, value); return true })
}

// TestRealm: credentials are not taken to wherever a registry says.
func TestRealm(t *testing.T) {
	for _, realm := range []string{"http://10.255.255.1/token", "https://169.254.169.254/token", "ftp://x/token"} {
		server := registrytest.Start(t, registrytest.Referrers)
		server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		_, _, err := newClient(1).Manifest(t.Context(), server.Host+"/app", "latest")
		if fault.CodeOf(err) != "registry_realm" || fault.IsTransient(err) {
			t.Errorf("%s: %v", realm, err)
		}
	}
}

// TestForeignFallbackTag: cosign copy puts an image at the fallback tag; that
// is no list of referrers, and no reason not to sign.
func TestForeignFallbackTag(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	m, _, err := c.Manifest(t.Context(), s.Repository, s.Digest)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, registry.FallbackTag(s.Digest), m.MediaType, string(m.Body))
	if _, err := attach(t.Context(), c, s, attachments("ours")); err != nil {
		t.Fatal(err)
	}
	if got := list(t, c, s); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
}

// TestHostileDigests: an entry that names its blob by anything but a digest is
// malformed, is not asked for, and hides nothing.
func TestHostileDigests(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(5)
	s := pushed(t, c, server, "app:1")
	if _, err := attach(t.Context(), c, s, attachments("good")[:1]); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Manifest(t.Context(), s.Repository, registry.SignatureTag(s.Digest))
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(m.Body), `"layers":[`, `"layers":[{"mediaType":"x","digest":"x://y","size":1},{"mediaType":"x","digest":"sha256:../../../token","size":1},`, 1)
	put(t, s, registry.SignatureTag(s.Digest), image.OCIManifest, bad)
	server.Requests()
	good, malformed := 0, 0
	for _, err := range c.View(s).Candidates(t.Context(), s, envelope.Want{}) {
		switch {
		case err == nil:
			good++
		case fault.CodeOf(err) == "signature_malformed":
			malformed++
		}
	}
	if good != 1 || malformed != 2 {
		t.Errorf("%d good, %d malformed", good, malformed)
	}
	for _, r := range server.Requests() {
		if strings.Contains(r, "token") {
			t.Errorf("asked for %s", r)
		}
	}
}

// TestPlainHTTP: only loopback and listed hosts are spoken to in the clear.
func TestPlainHTTP(t *testing.T) {
	for host, want := range map[string]string{
		"10.255.255.1:5000":   "registry_insecure",
		"192.168.255.1:5000":  "registry_insecure",
		"registry.local:5000": "registry_insecure",
	} {
		var asked sync.Map
		c := registry.New(registry.Options{Keychain: keychain{}, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			asked.Store(r.URL.Scheme, true)
			return nil, fmt.Errorf("no %s here", r.URL.Scheme)
		})})
		_, _, err := c.Manifest(t.Context(), host+"/app", "latest")
		if _, http := asked.Load("http"); http || err == nil {
			t.Errorf("%s: spoken to over plain HTTP, or no error (%v, want %s or a failure)", host, err, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func BenchmarkAttachAndList(b *testing.B) {
	server := registrytest.Start(b, registrytest.Referrers)
	digest := server.Push(b, "app:1")
	for i := 0; b.Loop(); i++ {
		c := newClient(1)
		s := image.Subject{Repository: server.Host + "/app", Digest: digest, MediaType: image.OCIManifest}
		s.Digest = "sha256:" + fmt.Sprintf("%064x", i)
		if _, err := attach(b.Context(), c, s, attachments("x")); err != nil {
			b.Fatal(err)
		}
		for _, err := range c.View(s).Candidates(b.Context(), s, envelope.Want{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
