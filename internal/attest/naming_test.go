package attest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest"
)

// TestNaming: digests are taken from where a document names an image, and from
// nothing that only looks like it.
func TestNaming(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	digest := "sha256:" + hex
	for _, tc := range []struct{ add, text, names, digests string }{
		{"digest", digest, "", digest},
		{"digest", hex, "", ""},
		{"digest", "sha512:" + hex + hex, "", ""},
		{"reference", "ghcr.io/acme/app:1.4", "ghcr.io/acme/app:1.4", ""},
		{"reference", "ghcr.io/acme/app:1.4@" + digest, "ghcr.io/acme/app:1.4", digest},
		{"reference", digest, "", digest},
		{"reference", "@" + digest, "", digest},
		{"reference", "a@b@" + digest, "a@b", digest},
		{"reference", "app@sha256:0a", "app@sha256:0a", ""},
		{"reference", "", "", ""},
		{"purl", "pkg:oci/app@sha256%3A" + hex + "?repository_url=ghcr.io/acme/app&tag=1", "ghcr.io/acme/app", digest},
		{"purl", "pkg:oci/app@" + digest, "app", digest},
		{"purl", "PKG:OCI/127.0.0.1%3A5000%2Fapp@sha256%3A" + hex + "?arch=#etc", "127.0.0.1:5000/app", digest},
		{"purl", "pkg://docker/acme/app@" + digest + "?repository_url=ghcr.io", "ghcr.io/acme/app", digest},
		{"purl", "pkg:docker/debian@12", "debian", ""},
		{"purl", "pkg:golang/example.com/app@" + digest, "", ""},
		{"purl", "pkg:oci/%zz@%zz?%zz", "", ""},
		{"purl", digest, "", ""},
	} {
		var n attest.Naming
		for range 2 {
			map[string]func(string){"digest": n.Digest, "reference": n.Reference, "purl": n.PackageURL}[tc.add](tc.text)
		}
		if names, digests := strings.Join(n.Names, " "), strings.Join(n.Digests, " "); names != tc.names || digests != tc.digests {
			t.Errorf("%s %q: names %q and digests %q", tc.add, tc.text, names, digests)
		}
	}
}

// TestNamingIsBounded: what comes after a thousand names is not kept, and a document
// with a million of them takes no million squared comparisons.
func TestNamingIsBounded(t *testing.T) {
	var n attest.Naming
	for i := range 2000 {
		n.Reference(fmt.Sprintf("app@sha256:%064x", i))
		n.Reference(fmt.Sprint("app:", i))
	}
	if len(n.Digests) != 1000 || len(n.Names) != 1000 {
		t.Errorf("%d digests and %d names", len(n.Digests), len(n.Names))
	}
}
