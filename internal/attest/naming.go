package attest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/image"
)

// maxNamed is the most digests and names that are kept.
const maxNamed = 1000

// Naming collects what a document calls the images that it is about: the
// Digests and Names of a Predicate, each once. What is no digest or no name is
// left out without an error, because documents hold all kinds of text there, and
// so is what comes after a thousand of them.
type Naming struct {
	Digests, Names []string
}

// Digest adds a digest, sha256:….
func (n *Naming) Digest(d string) {
	if image.CheckDigest(d) == nil {
		n.Digests = once(n.Digests, d)
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
	if name != "" {
		n.Names = once(n.Names, name)
	}
}

func once(list []string, s string) []string {
	if len(list) >= maxNamed || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
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
