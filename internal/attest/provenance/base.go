package provenance

import (
	"path"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// Base is an image that the build started from.
type Base struct {
	Name   string // a reference, such as docker.io/library/debian:12
	Digest string // sha256:…, or "" when nobody knows it
}

// dependency returns the base as a package URL
// (https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md),
// which the gate reads (gate.ProvenBases).
func (b Base) dependency() (dependency, error) {
	img, err := image.Parse(b.Name)
	if err != nil {
		return dependency{}, err
	}
	if b.Digest == "" {
		b.Digest = img.Digest
	}
	if img.Digest != "" && img.Digest != b.Digest {
		return dependency{}, fault.Configf("digest_invalid", "name the base image by one digest", "the base image %s is said to have the digest %s", b.Name, b.Digest)
	}
	return purl(img, b.Digest)
}

func purl(img image.Image, digest string) (dependency, error) {
	d := dependency{URI: "pkg:oci/" + path.Base(img.Repository)}
	if digest != "" {
		if err := image.CheckDigest(digest); err != nil {
			return dependency{}, err
		}
		hex := digest[len("sha256:"):]
		d.URI += "@sha256%3A" + hex
		d.Digest = map[string]string{"sha256": hex}
	}
	d.URI += "?repository_url=" + img.Repository
	if len(img.Tags) > 0 {
		d.URI += "&tag=" + img.Tags[0]
	}
	return d, nil
}
