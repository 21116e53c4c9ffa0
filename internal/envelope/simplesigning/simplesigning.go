// Package simplesigning is cosign's first signature format: a JSON payload as
// a layer, its signature as an annotation of that layer, all layers in one
// manifest at the tag sha256-<hex>.sig.
//
// The format is specified in
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md; the
// payload is the simple signing payload of containers/image. One payload names
// one reference, so there is one for each tag. Claims stand in "optional",
// beside the user's annotations.
package simplesigning

import (
	"encoding/base64"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
)

// The names that the format fixes.
const (
	MediaType           = "application/vnd.dev.cosign.simplesigning.v1+json"
	SignatureAnnotation = "dev.cosignproject.cosign/signature"
	payloadType         = "cosign container image signature"
)

// MaxPayload is the largest payload that is read, in bytes.
const MaxPayload = 1 << 20

type payload struct {
	Critical critical                  `json:"critical"`
	Optional map[string]jsontext.Value `json:"optional"`
}

type critical struct {
	Identity struct {
		DockerReference string `json:"docker-reference"`
	} `json:"identity"`
	Image struct {
		DockerManifestDigest string `json:"docker-manifest-digest"`
	} `json:"image"`
	Type string `json:"type"`
}

// Payload returns the bytes to sign for subject under one tag, or under the
// bare repository when tag is empty.
func Payload(subject image.Subject, tag string, claims envelope.Claims, annotations map[string]string) ([]byte, error) {
	var p payload
	p.Critical.Type = payloadType
	p.Critical.Image.DockerManifestDigest = subject.Digest
	p.Critical.Identity.DockerReference = Reference(subject.Repository, tag)
	p.Optional = map[string]jsontext.Value{}
	optional := map[string]any{}
	for k, v := range annotations {
		optional[k] = v
	}
	optional[envelope.ClaimsKey] = claims
	for k, v := range optional {
		value, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		p.Optional[k] = value
	}
	return json.Marshal(p, json.Deterministic(true))
}

// Reference returns the docker-reference of a payload.
func Reference(repository, tag string) string {
	if tag == "" {
		return repository
	}
	return repository + ":" + tag
}

// Seal returns the layer that carries the signature sig over the payload, by
// the key with the fingerprint.
func Seal(payload, sig []byte, fingerprint string) envelope.Attachment {
	return envelope.Attachment{
		Format: envelope.SimpleSigning, MediaType: MediaType, Blob: payload,
		Annotations: map[string]string{SignatureAnnotation: base64.StdEncoding.EncodeToString(sig), envelope.KeyHint: fingerprint},
	}
}

// Verify checks c with keys and returns what it says. The errors are refusals:
// "signature_malformed" when c is not of the format, "signature_invalid" when
// it verifies with no key. The bytes are parsed only after they have verified.
func Verify(c envelope.Candidate, keys []envelope.Key) (envelope.Verified, error) {
	sig, err := base64.StdEncoding.Strict().DecodeString(c.Signature)
	switch {
	case c.MediaType != MediaType:
		return envelope.Verified{}, envelope.Malformed(c, "its layer has the media type %q", c.MediaType)
	case err != nil || len(sig) == 0:
		return envelope.Verified{}, envelope.Malformed(c, "its annotation %s is not base64", SignatureAnnotation)
	case len(c.Blob) > MaxPayload:
		return envelope.Verified{}, envelope.Malformed(c, "its payload has %d bytes, more than %d", len(c.Blob), MaxPayload)
	}
	key, alg, err := envelope.VerifyBytes(envelope.HintFirst(keys, c.Hint), c.Blob, sig)
	if err != nil {
		return envelope.Verified{}, err
	}
	v := envelope.Verified{Candidate: c, Key: key, Algorithm: alg}
	return v, read(&v)
}

// Unverified returns what c says without checking its signature, for showing
// what is attached to an image. It proves nothing.
func Unverified(c envelope.Candidate) (envelope.Verified, error) {
	v := envelope.Verified{Candidate: c}
	return v, read(&v)
}

// read parses the payload of v into it.
func read(v *envelope.Verified) error {
	var p payload
	if err := json.Unmarshal(v.Blob, &p); err != nil {
		return envelope.Malformed(v.Candidate, "its payload: %w", err)
	}
	if p.Critical.Type != payloadType {
		return envelope.Malformed(v.Candidate, "its payload has the type %q", p.Critical.Type)
	}
	if err := image.CheckDigest(p.Critical.Image.DockerManifestDigest); err != nil {
		return envelope.Malformed(v.Candidate, "its payload: %w", err)
	}
	v.SubjectDigest = p.Critical.Image.DockerManifestDigest
	v.Reference = p.Critical.Identity.DockerReference
	return readOptional(v, p.Optional)
}

func readOptional(v *envelope.Verified, optional map[string]jsontext.Value) (err error) {
	optional = maps.Clone(optional)
	if claims, ok := optional[envelope.ClaimsKey]; ok {
		if v.Claims, err = envelope.ParseClaims(claims); err != nil {
			return envelope.Malformed(v.Candidate, "%w", err)
		}
		delete(optional, envelope.ClaimsKey)
	}
	v.Annotations = map[string]string{}
	for k, value := range optional {
		v.Annotations[k] = text(value)
	}
	return nil
}

// text returns a JSON string's content, and other values as they stand.
func text(v jsontext.Value) string {
	var s string
	if v.Kind() == '"' && json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}

// SplitReference returns the repository and tag of a docker-reference, in the
// canonical form, and ok = false when it is no reference. A digest in it is
// ignored: the payload has the digest of its own.
func SplitReference(ref string) (repository, tag string, ok bool) {
	ref, _, _ = strings.Cut(ref, "@")
	img, err := image.Parse(ref)
	if err != nil {
		return "", "", false
	}
	if len(img.Tags) > 0 {
		tag = img.Tags[0]
	}
	return img.Repository, tag, true
}
