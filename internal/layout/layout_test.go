package layout_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/layout"
)

// get asks a layout as a registry client would.
func get(t *testing.T, l *layout.Layout, path string) (status int, mediaType, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "https://ghcr.io/v2/acme/app/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := l.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	l, err := layout.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	img, payload := []byte(`{"config":{}}`), []byte("payload")
	sig := fmt.Appendf(nil, `{"artifactType":"x/y","annotations":{"a":"b"},"subject":{"digest":%q}}`, image.DigestOf(img))
	for _, err := range []error{
		l.Manifest(image.OCIManifest, []byte("older"), "1.0"),
		l.Manifest(image.OCIManifest, img, ""),
		l.Manifest(image.OCIManifest, img, "1.0"),
		l.Manifest(image.OCIManifest, img, "latest"),
		l.Manifest(image.OCIManifest, img, ""),
		l.Manifest(image.OCIManifest, sig, ""),
		l.Blob(payload),
		l.Save(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if l, err = layout.Open(dir); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"manifests/1.0":                             string(img),
		"manifests/latest":                          string(img),
		"manifests/" + image.DigestOf(img):          string(img),
		"blobs/" + image.DigestOf(payload):          "payload",
		"manifests/2.0":                             "",
		"blobs/sha256:../../index.json":             "",
		"blobs/" + image.DigestOf([]byte("absent")): "",
		"manifests/..%2f..%2findex.json":            "",
		"tags/list":                                 "",
	} {
		status, mediaType, body := get(t, l, path)
		if body != want || (status == 200) != (want != "") {
			t.Errorf("%s: %d %s %q, want %q", path, status, mediaType, body, want)
		}
	}
	_, mediaType, body := get(t, l, "referrers/"+image.DigestOf(img))
	if mediaType != image.OCIIndex || strings.Count(body, `"digest"`) != 1 || !strings.Contains(body, `"artifactType":"x/y","annotations":{"a":"b"}`) {
		t.Errorf("referrers: %s %s", mediaType, body)
	}
	if _, _, body := get(t, l, "referrers/"+image.DigestOf(sig)); strings.Contains(body, "digest") {
		t.Errorf("referrers of a signature: %s", body)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "[]", `{"manifests":1}`, strings.Repeat(" ", 5<<20)} {
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := layout.Open(dir); fault.CodeOf(err) != "layout_invalid" || fault.OutcomeOf(err) != fault.Config {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
