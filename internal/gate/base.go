package gate

import (
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
)

// The annotations that name a base image (OCI image-spec 1.1, annotations.md).
const (
	baseName   = "org.opencontainers.image.base.name"
	baseDigest = "org.opencontainers.image.base.digest"
)

// Base is an image that another was built from.
type Base struct {
	Name       string // as it was found
	Repository string // "" when the name is no image that a rule could be for
	Digest     string
}

// AnnotatedBase returns the base image that a manifest's annotations name, and
// false when they name none. Nobody signs them but through the manifest's digest.
func AnnotatedBase(manifest []byte) (Base, bool) {
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(manifest, &m) != nil || m.Annotations[baseName] == "" {
		return Base{}, false
	}
	return baseOf(m.Annotations[baseName], m.Annotations[baseDigest]), true
}

func baseOf(name, digest string) Base {
	b := Base{Name: name}
	if img, err := image.Parse(name); err == nil && image.CheckDigest(digest) == nil && (img.Digest == "" || img.Digest == digest) {
		b.Repository, b.Digest = img.Repository, digest
	}
	return b
}

const provenanceType = "https://slsa.dev/provenance/"

// ProvenBases returns the images among the resolved dependencies of SLSA
// provenance v1 (https://slsa.dev/spec/v1.0/provenance, resolvedDependencies), and
// the materials of v0.2. A provenance without an image adds a base without a
// repository, which no rule can be for.
func ProvenBases(attested []envelope.Verified) []Base {
	var all []Base
	for _, v := range attested {
		if !strings.HasPrefix(v.PredicateType, provenanceType) {
			continue
		}
		bases := basesIn(v.PredicateObject())
		if len(bases) == 0 {
			bases = []Base{{Name: "none in the provenance " + v.Manifest}}
		}
		all = append(all, bases...)
	}
	return all
}

func basesIn(predicate map[string]any) (out []Base) {
	for _, d := range dependencies(predicate) {
		var digest string
		if set, ok := d["digest"].(map[string]any); ok {
			digest, _ = set["sha256"].(string)
		}
		uri, _ := d["uri"].(string)
		if name, isImage := imageName(uri); isImage {
			out = append(out, baseOf(name, "sha256:"+digest))
		}
	}
	return out
}

func dependencies(predicate map[string]any) []map[string]any {
	list, _ := predicate["materials"].([]any)
	if definition, ok := predicate["buildDefinition"].(map[string]any); ok {
		list, _ = definition["resolvedDependencies"].([]any)
	}
	var out []map[string]any
	for _, entry := range list {
		if d, ok := entry.(map[string]any); ok {
			out = append(out, d)
		}
	}
	return out
}

// imageName returns the reference in the URI of an image: a package URL as
// BuildKit writes it (pkg:docker/NAME@TAG, pkg:oci/NAME?repository_url=…), or
// docker-image:// and oci:// with a reference.
func imageName(uri string) (string, bool) {
	for _, scheme := range []string{"docker-image://", "oci://", "docker://", "oci-image://"} {
		if rest, ok := cutFold(uri, scheme); ok {
			return rest, true
		}
	}
	rest, docker := cutFold(uri, "pkg:docker/")
	if !docker {
		var oci bool
		if rest, oci = cutFold(uri, "pkg:oci/"); !oci {
			return "", false
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	path, tag, tagged := strings.Cut(path, "@")
	values, err := url.ParseQuery(query)
	name, unescaped := url.PathUnescape(path)
	if err != nil || unescaped != nil {
		return uri, true
	}
	if at := values.Get("repository_url"); at != "" && docker {
		name = at + "/" + name // the registry (purl-spec, types/docker)
	} else if at != "" {
		name = at
	}
	if tag, err = url.PathUnescape(tag); tagged && err == nil && !strings.HasPrefix(tag, "sha256:") {
		name += ":" + tag
	}
	return name, true
}

// cutFold cuts a prefix whose case does not matter, as that of a scheme.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
