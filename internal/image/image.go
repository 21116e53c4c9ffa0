// Package image turns what a user wrote into subjects: repositories with
// digests.
//
// An Image is what the user wrote: a repository, perhaps tags, perhaps a
// digest. A Subject is what is signed: a repository and the digest, media type
// and size of one manifest in it. Repository names are lower case and
// canonical ("docker.io/library/alpine"); docker.io and index.docker.io are one
// name.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/signgate/signgate/internal/fault"
)

// Image is a reference as the user wrote it, parsed.
type Image struct {
	Repository string   // canonical, lower case, with the registry host
	Tags       []string // in the order given, without duplicates; may be empty
	Digest     string   // "sha256:<64 hex>", or "" when the user gave none
}

// String returns repository:tag@digest with what is known, the first tag only.
func (i Image) String() string {
	s := i.Repository
	if len(i.Tags) > 0 {
		s += ":" + i.Tags[0]
	}
	if i.Digest != "" {
		s += "@" + i.Digest
	}
	return s
}

// Subject is one manifest that is signed or gated.
type Subject struct {
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	MediaType  string   `json:"mediaType"`
	Size       int64    `json:"size"` // bytes
	Tags       []string `json:"tags,omitempty"`
	Platform   string   `json:"platform,omitempty"` // "linux/arm64" for a platform manifest of an index
	Index      string   `json:"index,omitempty"`    // the digest of the index that lists it
}

// String returns repository@digest, and the repository alone while the digest
// is not known.
func (s Subject) String() string {
	if s.Digest == "" {
		return s.Repository
	}
	return s.Repository + "@" + s.Digest
}

const digestForm = "a digest is sha256: and 64 lower-case hex digits"

// Parse reads one reference: repository[:tag][@sha256:…]. The repository is
// lower-cased, because registries refuse anything else. It returns a
// configuration fault ("reference_invalid", "digest_invalid") for anything
// that is not a reference.
func Parse(s string) (Image, error) {
	rest, digest, hasDigest := strings.Cut(strings.TrimSpace(s), "@")
	if hasDigest {
		if err := CheckDigest(digest); err != nil {
			return Image{}, err
		}
	}
	repo, tag := splitTag(rest)
	img := Image{Digest: digest}
	r, err := name.NewRepository(strings.ToLower(repo), name.WeakValidation)
	if err != nil || repo == "" || !nameForm.MatchString(r.RepositoryStr()) || strings.HasSuffix(r.RegistryStr(), ":") {
		return Image{}, badReference(s)
	}
	img.Repository = Canonical(r.Name())
	if tag == "" {
		return img, nil
	}
	if _, err := name.NewTag(r.Name()+":"+tag, name.WeakValidation); err != nil {
		return Image{}, badReference(s)
	}
	img.Tags = []string{tag}
	return img, nil
}

// nameForm is the <name> of the OCI distribution specification 1.1, "Pulling
// manifests".
var nameForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

func badReference(s string) error {
	return fault.Configf("reference_invalid", "write it as registry/repository:tag or registry/repository@sha256:…",
		"%q is not an image reference", s)
}

func splitTag(s string) (repo, tag string) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.IndexByte(s[colon:], '/') >= 0 {
		return s, ""
	}
	if colon == len(s)-1 {
		return "", "" // "repo:" is no reference
	}
	return s[:colon], s[colon+1:]
}

// Canonical returns the one name of a repository: docker.io for Docker Hub
// under any of its names.
func Canonical(repository string) string {
	if rest, ok := strings.CutPrefix(repository, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return repository
}

// DigestOf returns the SHA-256 digest of b.
func DigestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// CheckDigest returns a configuration fault ("digest_invalid") unless d is a
// SHA-256 digest.
func CheckDigest(d string) error {
	hex, ok := strings.CutPrefix(d, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return fault.Configf("digest_invalid", digestForm+"; take it from the digest output of the build step", "%q is not a digest", d)
	}
	return nil
}
