package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// hinted returns a bundle that hints at a key, and one without for "".
func hinted(text, key string) envelope.Attachment {
	b, err := bundle.Seal([]byte(`{"statement":"`+text+`"}`), []byte(text), envelope.SignaturePredicate, key)
	if err != nil {
		panic(err)
	}
	if key == "" {
		delete(b.Annotations, envelope.KeyHint)
	}
	return b
}

// first returns the text of the first candidate, and how many requests it
// took.
func first(t *testing.T, server *registrytest.Server, s image.Subject, want envelope.Want) (string, int) {
	t.Helper()
	server.Requests()
	for c, err := range newClient(1).View(s).Candidates(t.Context(), s, want) {
		if err != nil {
			t.Fatal(err)
		}
		return string(c.Blob), len(server.Requests())
	}
	return "", len(server.Requests())
}

// TestHints: what hints at a wanted key is fetched first, alone; a hint that
// lies or is missing only costs requests.
func TestHints(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	var as []envelope.Attachment
	for i := range 10 {
		as = append(as, hinted(fmt.Sprint("other ", i), "sha256:other"))
	}
	as = append(as, hinted("wanted", "sha256:wanted"), hinted("none", ""))
	for _, a := range as {
		if _, err := attach(t.Context(), c, s, []envelope.Attachment{a}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		key      string
		formats  []envelope.Format
		requests int // ping, lists, manifest, blob
	}{
		{"sha256:wanted", nil, 1 + 2 + 2},
		{"sha256:wanted", []envelope.Format{envelope.Bundle}, 1 + 1 + 2},
		{"sha256:absent", nil, 1 + 2 + 2}, // the one without a hint comes first
	} {
		blob, requests := first(t, server, s, envelope.Want{Keys: []string{tc.key}, Formats: tc.formats})
		if requests != tc.requests || tc.key == "sha256:wanted" && !strings.Contains(blob, toBase64(`{"statement":"wanted"}`)) {
			t.Errorf("%s %v: %d requests, want %d: %s", tc.key, tc.formats, requests, tc.requests, blob)
		}
	}
	all := 0
	for _, err := range newClient(1).View(s).Candidates(t.Context(), s, envelope.Want{Keys: []string{"sha256:wanted"}}) {
		if err != nil {
			t.Error(err)
		}
		all++
	}
	if all != len(as) {
		t.Errorf("%d candidates, want all %d: a hint proves nothing", all, len(as))
	}
	quick := 0
	for range newClient(1).View(s).Candidates(t.Context(), s, envelope.Want{Keys: []string{"sha256:wanted"}, Quick: true}) {
		quick++
	}
	if quick != 2 {
		t.Errorf("%d quick candidates, want the wanted one and the one without a hint", quick)
	}
}

func toBase64(s string) string {
	text, err := json.Marshal([]byte(s))
	if err != nil {
		panic(err)
	}
	return strings.Trim(string(text), `"`)
}

// TestCrowd: junk in any number does not hide what hints at a wanted key, and
// more than is read makes the rest unknown.
func TestCrowd(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := newClient(1)
	s := pushed(t, c, server, "app:1")
	if _, err := attach(t.Context(), c, s, []envelope.Attachment{hinted("wanted", "sha256:wanted")}); err != nil {
		t.Fatal(err)
	}
	listed := referrersOf(t, server, s)
	junk := make([]string, 6000)
	for i := range junk {
		junk[i] = fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":1,"artifactType":%q}`, image.OCIManifest, i, bundle.MediaType)
	}
	serveReferrers(server, append(listed, junk...))
	blob, _ := first(t, server, s, envelope.Want{Keys: []string{"sha256:wanted"}})
	if !strings.Contains(blob, toBase64(`{"statement":"wanted"}`)) {
		t.Errorf("first candidate %q", blob)
	}
	var limit, missing int
	for _, err := range newClient(1).View(s).Candidates(t.Context(), s, envelope.Want{}) {
		switch fault.CodeOf(err) {
		case "limit_exceeded":
			limit++
		case "referrer_missing":
			missing++
		}
	}
	if limit != 2 || missing != registry.MaxCandidates-1 {
		t.Errorf("%d limits, %d missing; want the limit of candidates and that of the list, and %d", limit, missing, registry.MaxCandidates-1)
	}
}

// referrersOf returns what the referrers API lists, entry by entry.
func referrersOf(t *testing.T, server *registrytest.Server, s image.Subject) (entries []string) {
	t.Helper()
	resp, err := http.Get("http://" + server.Host + "/v2/app/referrers/" + s.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var index struct{ Manifests []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests {
		entries = append(entries, string(m))
	}
	return entries
}

func serveReferrers(server *registrytest.Server, entries []string) {
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		w.Header().Set("Content-Type", image.OCIIndex)
		_, _ = w.Write([]byte(`{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[` + strings.Join(entries, ",") + `]}`))
		return true
	})
}

// TestAmbiguous: a list that is more than one thing, or says something twice,
// is refused, wherever it stands.
func TestAmbiguous(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	s := pushed(t, newClient(1), server, "app:1")
	entry := `{"mediaType":"` + image.OCIManifest + `","digest":"` + s.Digest + `","size":1}`
	for _, body := range []string{
		`{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[],"layers":[` + entry + `]}`,
		`{"schemaVersion":2,"mediaType":"` + image.OCIIndex + `","manifests":[],"config":` + entry + `}`,
		`{"schemaVersion":2,"mediaType":"` + image.OCIManifest + `","manifests":[]}`,
		`{"schemaVersion":2,"manifests":[],"manifests":[` + entry + `]}`,
		`{"schemaVersion":2,"manifests":[]} {}`,
	} {
		server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.Header().Set("Content-Type", image.OCIIndex)
			_, _ = w.Write([]byte(body))
			return true
		})
		var got []string
		for _, err := range newClient(1).View(s).Candidates(t.Context(), s, envelope.Want{}) {
			got = append(got, fault.CodeOf(err))
		}
		if len(got) != 1 || got[0] != "signature_malformed" {
			t.Errorf("%s: %v", body, got)
		}
	}
}

// TestUnknownRepository: a repository that does not exist (yet) lists nothing
// and says nothing about the referrers API of its host.
func TestUnknownRepository(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	c := registry.New(registry.Options{Keychain: keychain{}, Store: server.Host + "/signatures"})
	s := pushed(t, c, server, "app:1")
	server.Requests()
	if got := list(t, c, s); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	if _, err := attach(t.Context(), c, s, attachments("elsewhere")); err != nil {
		t.Fatal(err)
	}
	if got := list(t, c, s); len(got) != 2 {
		t.Errorf("listed %q", got)
	}
	if n := count(server.Requests(), "PUT /v2/app/"); n != 0 {
		t.Errorf("%d writes to the image's repository", n)
	}
	tag := registry.FallbackTag(s.Digest)
	if _, p, err := c.Manifest(t.Context(), server.Host+"/signatures", tag); p != registry.Absent || err != nil {
		t.Errorf("a fallback tag beside the referrers API: %v, %v", p, err)
	}
}
