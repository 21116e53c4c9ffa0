package registry

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/image"
)

// The names of OCI 1.1 and of cosign's tag scheme.
const (
	emptyMediaType  = "application/vnd.oci.empty.v1+json"
	configMediaType = "application/vnd.oci.image.config.v1+json"
	createdName     = "org.opencontainers.image.created"

	// replacesName lists the versions of a signature tag that a version has
	// merged. Nobody signs it: it only spares the reading of those.
	replacesName = "dev.signgate.replaces"
)

var emptyBlob = []byte("{}")

// descriptor is an OCI content descriptor.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     jsontext.Value    `json:"platform,omitempty"`

	verbatim jsontext.Value // as another writer wrote it; nil for one of ours
}

// raw returns the descriptor as it stands in a list.
func (d descriptor) raw() (jsontext.Value, error) {
	if d.verbatim != nil {
		return d.verbatim, nil
	}
	return json.Marshal(d, json.Deterministic(true))
}

func describe(mediaType string, blob []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: image.DigestOf(blob), Size: int64(len(blob))}
}

// manifest is an image manifest as it is written and read here.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// SignatureTag returns the tag of a subject's simple signing manifest, and
// AttestationTag that of its DSSE envelopes.
func SignatureTag(digest string) string   { return cosignTags()[0].of(digest) }
func AttestationTag(digest string) string { return cosignTags()[1].of(digest) }

// FallbackTag returns the referrers tag of a subject (OCI distribution 1.1,
// "Referrers Tag Schema").
func FallbackTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// subjectOf is the descriptor that makes a manifest a referrer of s.
func subjectOf(s image.Subject) *descriptor {
	return &descriptor{MediaType: s.MediaType, Digest: s.Digest, Size: s.Size}
}

// referrer returns the manifest of a bundle, or of what is attached beside one, and
// its descriptor for an index. What is no bundle has no time, so that the same
// attachment is the same manifest: a bundle is found again by what it says.
func referrer(s image.Subject, a envelope.Attachment, now time.Time) (descriptor, []byte, error) {
	annotations := map[string]string{}
	if a.MediaType == bundle.MediaType {
		annotations[createdName] = now.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	for k, v := range a.Annotations {
		annotations[k] = v
	}
	m := manifest{
		SchemaVersion: 2, MediaType: image.OCIManifest, ArtifactType: a.MediaType,
		Config: describe(emptyMediaType, emptyBlob), Layers: []descriptor{describe(a.MediaType, a.Blob)},
		Subject:     subjectOf(s),
		Annotations: annotations,
	}
	body, err := json.Marshal(m, json.Deterministic(true))
	d := describe(image.OCIManifest, body)
	d.ArtifactType, d.Annotations = m.ArtifactType, annotations
	return d, body, err
}

// isBundle reports whether a referrer may be a bundle. Registries that do not
// know a referrer's artifact type leave it out or repeat the type of its config.
func (d descriptor) isBundle() bool {
	return slices.Contains([]string{bundle.MediaType, "", emptyMediaType}, d.ArtifactType)
}
