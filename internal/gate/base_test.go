package gate_test

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/gate"
)

var someDigest = strings.Repeat("a", 64)

func TestAnnotatedBase(t *testing.T) {
	for manifest, want := range map[string]gate.Base{
		`{"annotations":{"org.opencontainers.image.base.name":"debian:13","org.opencontainers.image.base.digest":"sha256:` + someDigest + `"}}`:    {Name: "debian:13", Repository: "docker.io/library/debian", Digest: "sha256:" + someDigest},
		`{"annotations":{"org.opencontainers.image.base.name":"ghcr.io/a/b","org.opencontainers.image.base.digest":"sha256:short"}}`:               {Name: "ghcr.io/a/b"},
		`{"annotations":{"org.opencontainers.image.base.name":"ghcr.io/a/b"}}`:                                                                     {Name: "ghcr.io/a/b"},
		`{"annotations":{"org.opencontainers.image.base.name":"NOT AN IMAGE","org.opencontainers.image.base.digest":"sha256:` + someDigest + `"}}`: {Name: "NOT AN IMAGE"},
	} {
		if got, named := gate.AnnotatedBase([]byte(manifest)); !named || got != want {
			t.Errorf("%s: %+v, %t, want %+v", manifest, got, named, want)
		}
	}
	for _, manifest := range []string{`{}`, `{"annotations":{"org.opencontainers.image.base.digest":"sha256:x"}}`, `[]`} {
		if b, named := gate.AnnotatedBase([]byte(manifest)); named {
			t.Errorf("%s names %+v", manifest, b)
		}
	}
}

// TestProvenBases: package URLs as BuildKit writes them, and other URIs.
func TestProvenBases(t *testing.T) {
	for uri, repository := range map[string]string{
		"pkg:docker/debian@13-slim?platform=linux%2Famd64":                          "docker.io/library/debian",
		"pkg:docker/ghcr.io/acme/base@1.0":                                          "ghcr.io/acme/base",
		"pkg:oci/base?repository_url=ghcr.io%2Facme%2Fbase&tag=1.0":                 "ghcr.io/acme/base",
		"pkg:oci/base@sha256%3A" + someDigest + "?repository_url=ghcr.io/acme/base": "ghcr.io/acme/base",
		"docker-image://docker.io/library/alpine:3":                                 "docker.io/library/alpine",
		"oci://ghcr.io/acme/base@sha256:" + someDigest:                              "ghcr.io/acme/base",
		"oci://ghcr.io/acme/base@sha256:" + strings.Repeat("b", 64):                 "",
	} {
		dependency := map[string]any{"uri": uri, "digest": map[string]any{"sha256": someDigest}}
		v := envelope.Verified{Predicate: map[string]any{"buildDefinition": map[string]any{"resolvedDependencies": []any{dependency, map[string]any{"uri": "git+https://github.com/acme/app"}}}}}
		got := gate.ProvenBases([]envelope.Verified{v})
		if len(got) != 1 || got[0].Repository != repository {
			t.Errorf("%s: %+v, want %s", uri, got, repository)
		}
	}
	old := envelope.Verified{Predicate: map[string]any{"materials": []any{map[string]any{"uri": "pkg:docker/alpine@3"}, "odd", map[string]any{"uri": 7}}}}
	if got := gate.ProvenBases([]envelope.Verified{old}); len(got) != 1 || got[0].Repository != "" {
		t.Errorf("a material without a digest: %+v", got)
	}
}
