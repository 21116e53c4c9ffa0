package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestListOfContentsIsThere: a run that was cut short before the list of files was
// stored, or listed, is made good for by the next one, and then there is nothing to
// do.
func TestListOfContentsIsThere(t *testing.T) {
	for name, lost := range map[string]func(*http.Request, []byte) bool{
		"its blob":     func(r *http.Request, b []byte) bool { return bytes.Contains(b, []byte("etc/motd")) },
		"its manifest": func(r *http.Request, b []byte) bool { return bytes.Contains(b, []byte("contents.v1+jsonl")) },
	} {
		for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Fallback} {
			private, public := keyPair(t)
			site := contentsSite{Server: registrytest.Start(t, mode)}
			s := site.Server
			ref := s.Host + "/app@" + site.push(t, "app:1", layerOf(t, "etc/motd", "hello")).Digest
			attest := []string{"attest", "--settle", "0s", "--retries", "0", "--key", private, "--contents", "files", ref}
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if r.Method == http.MethodGet || !lost(r, body) {
					return false
				}
				w.WriteHeader(http.StatusInternalServerError)
				return true
			})
			if code, out := run(t.Context(), s, attest...); code != 3 {
				t.Errorf("%s, %s: exit code %d\n%s", name, mode, code, out)
			}
			s.Intercept(nil)
			signgate(t, s, attest...)
			if code, out := run(t.Context(), s, "contents", "check", "--trusted-keys", public, ref); code != 0 {
				t.Errorf("%s, %s: the check: exit code %d\n%s", name, mode, code, out)
			}
			root := t.TempDir()
			if code, out := run(t.Context(), s, "contents", "check", "--trusted-keys", public, "--root", root, ref, root); code != 1 || !strings.Contains(out, "contents_missing: /etc") {
				t.Errorf("%s, %s: the check of files: exit code %d\n%s", name, mode, code, out)
			}
			s.Requests()
			signgate(t, s, attest...)
			for _, request := range s.Requests() {
				if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
					t.Errorf("%s, %s: %s for nothing", name, mode, request)
				}
			}
		}
	}
}
