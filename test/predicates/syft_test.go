package predicates

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/sbom"
)

// TestSyft: an SBOM of an image in each format that Syft writes names the image,
// except that its CycloneDX has the digest only when it was called with it.
func TestSyft(t *testing.T) {
	syft, ref := peer(t, "syft"), push(t)
	tagged := strings.Split(ref.Name(), "@")[0] + ":1.4"
	env := []string{"SYFT_REGISTRY_INSECURE_USE_HTTP=true", "SYFT_CHECK_FOR_APP_UPDATE=false"}
	for format, kind := range map[string]string{
		"spdx-json@2.2": attest.SPDX, "spdx-json@2.3": attest.SPDX, "cyclonedx-json@1.2": attest.CycloneDX, "cyclonedx-json@1.3": attest.CycloneDX,
		"cyclonedx-json@1.4": attest.CycloneDX, "cyclonedx-json@1.5": attest.CycloneDX, "cyclonedx-json@1.6": attest.CycloneDX,
	} {
		sources := []string{ref.Name()}
		if format == "spdx-json@2.3" || format == "cyclonedx-json@1.6" {
			sources = append(sources, tagged)
		}
		for _, source := range sources {
			text, code := run(t, env, syft, "scan", "registry:"+source, "-q", "-o", format)
			p, err := sbom.Read([]byte(text))
			if code != 0 || err != nil || p.Type != kind {
				t.Fatalf("%s %s: exit %d, %v, %+v", format, source, code, err, p)
			}
			named := slices.Equal(p.Digests, []string{ref.DigestStr()})
			if want := source == ref.Name() || kind == attest.SPDX; named != want || (len(p.Notes) == 0) != want {
				t.Errorf("%s %s: digests %v, notes %q", format, source, p.Digests, p.Notes)
			}
			if !strings.Contains(string(p.Body), "libssl3") {
				t.Errorf("%s %s: it does not have the package", format, source)
			}
		}
	}
}

// TestSyftOfFolder: an SBOM of a folder names no image, and says so.
func TestSyftOfFolder(t *testing.T) {
	syft, dir := peer(t, "syft"), t.TempDir()
	for path, text := range rootfs {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []string{"spdx-json", "cyclonedx-json"} {
		text, code := run(t, nil, syft, "scan", "dir:"+dir, "-q", "-o", format)
		p, err := sbom.Read([]byte(text))
		if code != 0 || err != nil || len(p.Digests) > 0 || len(p.Notes) != 1 {
			t.Errorf("%s: exit %d, %v, digests %v, notes %q", format, code, err, p.Digests, p.Notes)
		}
	}
}
