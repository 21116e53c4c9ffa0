package storm

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// document is a part of a signature, and how to put another one in its stead.
type document struct {
	name    string
	mode    registrytest.Mode
	format  string // that depends on it
	rewrite func(t *testing.T, x *target, f func([]byte) []byte)
}

func documents() []document {
	return []document{
		{"the signature tag", registrytest.Referrers, simplesigning, func(t *testing.T, x *target, f func([]byte) []byte) {
			x.put(t, x.signatureTag(), ociManifest, f(x.get(t, "manifests/"+x.signatureTag())))
		}},
		{"the fallback tag", registrytest.Fallback, bundle, func(t *testing.T, x *target, f func([]byte) []byte) {
			x.put(t, x.fallbackTag(), ociIndex, f(x.get(t, "manifests/"+x.fallbackTag())))
		}},
		{"the referrers API", registrytest.Referrers, bundle, func(t *testing.T, x *target, f func([]byte) []byte) {
			x.answers(".*/referrers/", ociIndex, f(x.get(t, "referrers/"+x.digest)))
		}},
		{"a bundle's manifest", registrytest.Referrers, bundle, func(t *testing.T, x *target, f func([]byte) []byte) {
			old := x.onlyBundle(t)
			x.replace(t, old, f(x.get(t, "manifests/"+old)))
		}},
		{"a bundle", registrytest.Referrers, bundle, func(t *testing.T, x *target, f func([]byte) []byte) {
			old := x.onlyBundle(t)
			blob := f(x.get(t, "blobs/"+x.onlyBlob(t)))
			x.replace(t, old, x.referrer(t, descriptor{MediaType: bundleType, Digest: x.putBlob(t, blob), Size: len(blob)}))
		}},
	}
}

// replace puts another referrer in the place of one. The registry lists it
// whatever it is.
func (x *target) replace(t *testing.T, old string, body []byte) {
	t.Helper()
	x.ask(t, http.MethodDelete, "manifests/"+old, "", nil)
	x.put(t, digestOf(body), ociManifest, body)
	x.lists(descriptor{MediaType: ociManifest, Digest: digestOf(body), Size: len(body), ArtifactType: bundleType})
}

// lists adds entries to what the referrers API answers. They come last, which
// is where the newest are.
func (x *target) lists(entries ...descriptor) {
	own := func(d descriptor) bool {
		return slices.ContainsFunc(entries, func(e descriptor) bool { return e.Digest == d.Digest })
	}
	x.at("GET .*/referrers/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ociIndex)
		_, _ = w.Write(index(append(slices.DeleteFunc(x.listed(), own), entries...)))
	})
}

// change is what is wrong with a document.
type change struct {
	name string
	f    func([]byte) []byte
}

// first puts members at the beginning of a JSON object.
func first(members string) func([]byte) []byte {
	return func(b []byte) []byte { return append([]byte("{"+members+","), bytes.TrimPrefix(b, []byte("{"))...) }
}

// after puts text behind a document.
func after(text string) func([]byte) []byte {
	return func(b []byte) []byte { return append(bytes.Clone(b), text...) }
}

// changes are what may be wrong with a document, by its name.
func changes(d document) []change {
	out := []change{{"another document behind it", after("{}")}, {"junk behind it", after("\n]")}}
	switch d.name {
	case "a bundle":
		return append(out, change{"dsseEnvelope twice", first(`"dsseEnvelope":{}`)}, change{"mediaType twice", first(`"mediaType":"x"`)})
	case "the fallback tag", "the referrers API":
		return append(out, change{"manifests twice", first(`"manifests":[]`)}, change{"a manifest as well", first(`"config":{},"layers":[]`)})
	}
	return append(out, change{"layers twice", first(`"layers":[]`)}, change{"an index as well", first(`"manifests":[]`)})
}
