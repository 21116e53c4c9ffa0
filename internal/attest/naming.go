package attest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/image"
)

// Naming collects what a document calls the images that it is about: the
// Digests and Names of a Predicate, each once. What is no digest or no name is
// left out without an error, because documents hold all kinds of text there.
type Naming struct {
	Digests, Names []string
}

// Digest adds a digest, sha256:….
func (n *Naming) Digest(d string) {
	if image.CheckDigest(d) == nil && !slices.Contains(n.Digests, d) {
		n.Digests = append(n.Digests, d)
	}
}

// Reference adds the name and the digest of NAME, NAME@DIGEST or DIGEST.
func (n *Naming) Reference(ref string) {
	name, digest := "", ref
	if at := strings.LastIndexByte(ref, '@'); at >= 0 {
		name, digest = ref[:at], ref[at+1:]
	}
	if image.CheckDigest(digest) != nil {
		name = ref
	}
	n.Digest(digest)
	n.name(name)
}

func (n *Naming) name(name string) {
	if name != "" && !slices.Contains(n.Names, name) {
		n.Names = append(n.Names, name)
	}
}

// PackageURL adds the name and the digest of a package URL of the types oci and
// docker (https://github.com/package-url/purl-spec, types). Other types are no
// images.
func (n *Naming) PackageURL(purl string) {
	scheme, rest, _ := strings.Cut(purl, ":")
	kind, rest, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	oci := strings.EqualFold(kind, "oci")
	if !strings.EqualFold(scheme, "pkg") || !oci && !strings.EqualFold(kind, "docker") {
		return
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	name, version, _ := strings.Cut(rest, "@")
	if digest, err := url.PathUnescape(version); err == nil {
		n.Digest(digest)
	}
	if name, err := url.PathUnescape(name); err == nil {
		n.name(repository(name, query, oci))
	}
}

// repository returns the repository of a package URL. repository_url is the whole
// of it for the type oci, and the registry for docker.
func repository(name, query string, oci bool) string {
	values, err := url.ParseQuery(query)
	at := values.Get("repository_url")
	switch {
	case err != nil || at == "":
		return name
	case oci:
		return at
	}
	return at + "/" + name
}
