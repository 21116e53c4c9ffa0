package storm

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Media types.
const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	emptyType   = "application/vnd.oci.empty.v1+json"
)

// refer attaches a blob that is called a bundle, and returns the digest of its
// manifest.
func (x *target) refer(t *testing.T, blob descriptor, annotations ...string) string {
	t.Helper()
	body := x.referrer(t, blob, annotations...)
	x.put(t, digestOf(body), ociManifest, body)
	return digestOf(body)
}

// referBytes attaches the bytes as a bundle.
func (x *target) referBytes(t *testing.T, mediaType string, blob []byte) {
	t.Helper()
	x.refer(t, descriptor{MediaType: mediaType, Digest: x.putBlob(t, blob), Size: len(blob)})
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// referrer returns the manifest of a bundle, with annotations as names and values.
func (x *target) referrer(t *testing.T, blob descriptor, annotations ...string) []byte {
	t.Helper()
	notes := map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		notes[annotations[i]] = annotations[i+1]
	}
	body, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "artifactType": bundleType,
		"config":  descriptor{MediaType: emptyType, Digest: x.putBlob(t, []byte("{}")), Size: 2},
		"layers":  []descriptor{blob},
		"subject": descriptor{MediaType: ociManifest, Digest: x.digest, Size: len(x.get(t, "manifests/"+x.digest))}, "annotations": notes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// index is a list of entries.
func index(entries []descriptor) []byte {
	body, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": entries})
	if err != nil {
		panic(err)
	}
	return body
}

// listed is what the referrers API lists of itself.
func (x *target) listed() []descriptor {
	var list struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(x.serve(http.MethodGet, "referrers/"+x.digest, "", nil).Body.Bytes(), &list); err != nil {
		panic(err)
	}
	return list.Manifests
}

// manifestOf is an image manifest of layers.
func (x *target) manifestOf(t *testing.T, layers []descriptor) []byte {
	t.Helper()
	config := x.putBlob(t, []byte("{}"))
	body, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "layers": layers,
		"config": descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Digest: config, Size: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// answers makes the registry answer the requests for a path with a body.
func (x *target) answers(path, mediaType string, body []byte, header ...string) {
	x.at("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		_, _ = w.Write(body)
	})
}

// stream makes the registry answer the requests for a path with n bytes that
// follow a beginning, without saying how many.
func (x *target) stream(path, mediaType string, status int, beginning string, n int64) {
	x.at("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(beginning), io.LimitReader(filler{}, n)))
	})
}

// filler is spaces without end.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
