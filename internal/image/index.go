package image

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
)

// The media types of manifests. Anything else is no subject.
const (
	OCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	OCIIndex       = "application/vnd.oci.image.index.v1+json"
	DockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// MaxChildren is the most manifests an index may list.
const MaxChildren = 1000

// maxValues is the most values that a JSON document of a registry may have. An
// empty one takes three bytes there and a hundred when it is read.
const maxValues = 48_000

// Crowded reports whether a JSON document has too many values to be read. It
// counts what begins or separates values, also where that stands in a string.
func Crowded(body []byte) bool {
	n := 0
	for _, c := range body {
		if c == ',' || c == '{' || c == '[' {
			n++
		}
	}
	return n > maxValues
}

// IsIndex reports whether mediaType is that of an index.
func IsIndex(mediaType string) bool { return mediaType == OCIIndex || mediaType == DockerList }

// IsManifest reports whether mediaType is that of an image manifest or index.
func IsManifest(mediaType string) bool {
	return mediaType == OCIManifest || mediaType == DockerManifest || IsIndex(mediaType)
}

// Skipped is a manifest of an index that is not signed, and why.
type Skipped struct {
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

type indexManifest struct {
	MediaType string       `json:"mediaType"`
	Manifests []descriptor `json:"manifests"`
	Config    any          `json:"config"`
	Layers    any          `json:"layers"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// CheckManifest returns a refusal ("not_a_manifest") unless body is a JSON
// object that is a manifest of the subject's media type: an index has
// manifests and no config or layers, a manifest the other way round, so that
// no reader can take one for the other.
func CheckManifest(s Subject, body []byte) error {
	if Crowded(body) {
		return notManifest(s, fmt.Sprintf("it has more than %d values", maxValues))
	}
	var m indexManifest
	if err := json.Unmarshal(body, &m); err != nil {
		return notManifest(s, fmt.Sprintf("it is no JSON object (%v)", err))
	}
	if err := CheckNames(body, "annotations"); err != nil {
		return notManifest(s, err.Error())
	}
	switch {
	case !IsManifest(s.MediaType):
		return notManifest(s, fmt.Sprintf("its media type is %q", s.MediaType))
	case m.MediaType != "" && m.MediaType != s.MediaType:
		return notManifest(s, fmt.Sprintf("the registry calls it %q and it calls itself %q", s.MediaType, m.MediaType))
	case IsIndex(s.MediaType) && (m.Manifests == nil || m.Config != nil || m.Layers != nil):
		return notManifest(s, "it is called an index and is not one alone")
	case !IsIndex(s.MediaType) && (m.Manifests != nil || m.Config == nil):
		return notManifest(s, "it is called a manifest and is not one alone")
	}
	return nil
}

func notManifest(s Subject, why string) error {
	return fault.Refusedf("not_a_manifest", "give the digest of an image manifest or index, as the build step prints it", "%s is not an image manifest: %s", s, why)
}

// Children returns the manifests that the index s lists, as subjects with the
// tags of s, and those that are left out: BuildKit's attestation manifests.
// The body has passed CheckManifest.
func Children(s Subject, body []byte) ([]Subject, []Skipped, error) {
	var index indexManifest
	if err := json.Unmarshal(body, &index); err != nil || len(index.Manifests) > MaxChildren {
		return nil, nil, notManifest(s, fmt.Sprintf("its list of %d manifests cannot be read or is longer than %d", len(index.Manifests), MaxChildren))
	}
	var children []Subject
	var skipped []Skipped
	seen := map[string]bool{}
	for _, d := range index.Manifests {
		if CheckDigest(d.Digest) != nil || !IsManifest(d.MediaType) || d.Size < 0 {
			return nil, nil, notManifest(s, fmt.Sprintf("it lists %q of the type %q", d.Digest, d.MediaType))
		}
		if d.isAttestation() {
			skipped = append(skipped, Skipped{d.Digest, "BuildKit's attestation manifest"})
		} else if !seen[d.Digest] {
			seen[d.Digest] = true
			children = append(children, d.subject(s))
		}
	}
	return children, skipped, nil
}

// isAttestation reports whether this is BuildKit's, which no platform runs. The
// annotation alone would hide a platform from whoever looks at each.
func (d descriptor) isAttestation() bool {
	runs := d.Platform != nil && (d.Platform.OS != "unknown" || d.Platform.Architecture != "unknown")
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" && !runs
}

func (d descriptor) subject(parent Subject) Subject {
	s := Subject{Repository: parent.Repository, Digest: d.Digest, MediaType: d.MediaType, Size: d.Size, Tags: parent.Tags, Index: parent.Digest}
	if p := d.Platform; p != nil {
		s.Platform = strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
	}
	return s
}
