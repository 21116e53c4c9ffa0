package registry

import (
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/image"
)

// cosignTag is one of the tags that cosign keeps beside an image: it points to a
// manifest with an envelope in each layer, to which every writer adds his own.
type cosignTag struct {
	format    envelope.Format
	store     string
	suffix    string
	mediaType string // of a layer

	// artifactType is how cosign marks such a manifest that is a referrer (its
	// registry-referrers-mode oci-1-1).
	artifactType string
}

// cosignTags returns the tags, in the order in which they are written.
func cosignTags() []cosignTag {
	return []cosignTag{
		{envelope.SimpleSigning, StoreSignatureTag, ".sig", simplesigning.MediaType, "application/vnd.dev.cosign.artifact.sig.v1+json"},
		{envelope.DSSE, StoreAttestationTag, ".att", dsse.MediaType, "application/vnd.dev.cosign.artifact.att.v1+json"},
	}
}

// cosignTagOf returns the tag for a format, and false for bundles.
func cosignTagOf(f envelope.Format) (cosignTag, bool) {
	for _, k := range cosignTags() {
		if k.format == f {
			return k, true
		}
	}
	return cosignTag{}, false
}

// of returns the tag for a subject (cosign SIGNATURE_SPEC.md, "Tag-based
// discovery").
func (k cosignTag) of(digest string) string { return FallbackTag(digest) + k.suffix }

// formatName tells versions of the tags apart where the registry does not know
// a referrer's artifact type. It stands on those that are not signatures.
const formatName = "dev.signgate.format"

// hasVersion reports whether a referrer may be a version of the tag. Registries
// that do not know a referrer's artifact type leave it out or repeat the type
// of its config; one that leaves out the annotations as well leaves it open.
func (k cosignTag) hasVersion(d descriptor) bool {
	switch {
	case d.MediaType != image.OCIManifest:
		return false
	case d.ArtifactType == configMediaType || d.ArtifactType == "":
		return len(d.Annotations) == 0 || d.Annotations[formatName] == k.mark()
	}
	return d.ArtifactType == k.artifactType
}

// mark is what formatName says of the tag's versions.
func (k cosignTag) mark() string {
	if k.format == envelope.SimpleSigning {
		return ""
	}
	return string(k.format)
}
