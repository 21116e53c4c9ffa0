package storm

import (
	"net/http"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// wrong are answers with other bytes than the digest that was asked for.
func wrong() []hostile {
	other := []string{simplesigning}
	ref := registrytest.Referrers
	return []hostile{
		{name: "other bytes for the image", mode: ref, broken: both, plant: func(t *testing.T, x *target) {
			x.answers(".*/manifests/"+x.digest, ociManifest, x.otherImage(t))
		}},
		{name: "a tag with other bytes under the digest", mode: ref, broken: both, byTag: true, plant: func(t *testing.T, x *target) {
			body := x.otherImage(t)
			x.at("(GET|HEAD) .*/manifests/1.0$", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", ociManifest)
				w.Header().Set("Docker-Content-Digest", x.digest)
				_, _ = w.Write(body)
			})
		}},
		{name: "other bytes for a bundle's manifest", mode: ref, broken: bundle, reach: other, plant: func(t *testing.T, x *target) {
			x.answers(".*/manifests/"+x.onlyBundle(t), ociManifest, x.otherImage(t))
		}},
		{name: "a bundle's manifest with a space behind it", mode: ref, broken: bundle, reach: other, plant: func(t *testing.T, x *target) {
			digest := x.onlyBundle(t)
			x.answers(".*/manifests/"+digest, ociManifest, after(" ")(x.get(t, "manifests/"+digest)))
		}},
		{name: "other bytes for a bundle", mode: ref, broken: bundle, reach: other, plant: func(t *testing.T, x *target) {
			x.answers(".*/blobs/"+x.onlyBlob(t), "application/octet-stream", []byte(`{"mediaType":"`+bundleType+`"}`))
		}},
		{name: "a bundle with a space behind it", mode: ref, broken: bundle, reach: other, plant: func(t *testing.T, x *target) {
			digest := x.onlyBlob(t)
			x.answers(".*/blobs/"+digest, "application/octet-stream", after(" ")(x.get(t, "blobs/"+digest)))
		}},
		{name: "other bytes for a payload", mode: ref, broken: simplesigning, reach: []string{bundle}, plant: func(t *testing.T, x *target) {
			digest := x.onlyLayer(t)
			x.answers(".*/blobs/"+digest, "application/octet-stream", after(" ")(x.get(t, "blobs/"+digest)))
		}},
		{name: "the signatures of another image", mode: ref, reach: []string{bundle}, plant: func(t *testing.T, x *target) {
			twin := *x
			twin.digest = x.Push(t, x.repo+":2.0")
			signgate(t, "sign", "--key", x.key.private, x.Host+"/"+x.repo+"@"+twin.digest).exits(t, "sign the other", 0)
			x.put(t, x.signatureTag(), ociManifest, x.get(t, "manifests/"+twin.signatureTag()))
			x.referBytes(t, bundleType, x.get(t, "blobs/"+twin.onlyBlob(t)))
		}},
		{name: "an index of empty entries as the image", mode: ref, plant: func(t *testing.T, x *target) {
			body := empties(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":[`, "]}", limit)
			x.digest = digestOf(body)
			x.answers(".*/manifests/"+x.digest, ociIndex, body)
		}},
	}
}

// otherImage returns the manifest of an image that nobody has signed.
func (x *target) otherImage(t *testing.T) []byte {
	t.Helper()
	return x.get(t, "manifests/"+x.Push(t, x.repo+":other"))
}

// TestWrongBytes: content that has not the digest it was asked for by counts
// for nothing.
func TestWrongBytes(t *testing.T) { playAll(t, wrong()) }
