package registry

import (
	"bytes"
	"testing"

	"github.com/signgate/signgate/internal/image"
)

func fuzzSubject() image.Subject {
	return image.Subject{Repository: "r.example/app", Digest: image.DigestOf([]byte("subject")), MediaType: image.OCIManifest, Size: 7}
}

// FuzzMerge: whatever is at a tag either is refused or keeps every entry byte
// for byte, in front of ours, and ours is there once, also the second time.
func FuzzMerge(f *testing.F) {
	for _, seed := range []string{
		`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`,
		`{"schemaVersion":2,"manifests":[{ "mediaType" : "\u0061","digest":"sha256:00","size":1,"x":{"b":1,"a":[null]}}],"y":1e400}`,
		`{"manifests":null}`, `{"manifests":[1]}`, `{"manifests":[],"config":{}}`, `[]`, `{"manifests":[]} x`,
	} {
		f.Add([]byte(seed))
	}
	s := fuzzSubject()
	l := New(Options{}).fallbackIndex(s, describe(image.OCIManifest, []byte("ours")))
	f.Fuzz(func(t *testing.T, body []byte) {
		old := tagged{Manifest: Manifest{image.DigestOf(body), image.OCIIndex, body}, presence: Found}
		m, added, err := l.extend(old)
		if err != nil || !added {
			return
		}
		before, err := parseMembers(body)
		if err != nil {
			t.Fatalf("%q was extended and cannot be parsed: %v", body, err)
		}
		had, _ := before.list("manifests")
		written, err := parseMembers(m.bytes())
		if err != nil {
			t.Fatalf("%q became %q: %v", body, m.bytes(), err)
		}
		has, err := written.list("manifests")
		if err != nil || len(has) != len(had)+1 {
			t.Fatalf("%q: %d entries became %d, %v", body, len(had), len(has), err)
		}
		for i := range had {
			if !bytes.Equal(had[i], has[i]) {
				t.Errorf("%q: entry %d became %q", body, i, has[i])
			}
		}
		if again, err := l.add(m); again || err != nil {
			t.Errorf("%q: added twice, %v", body, err)
		}
	})
}

// FuzzLists: no answer of a registry makes the parsers do more than refuse.
func FuzzLists(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"x"},"layers":[],"annotations":null}`), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), `</v2/app/referrers/x?n=1>; rel="next"`)
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:1"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json"}],"subject":{"digest":"sha256:2"}}`), "<>")
	s := fuzzSubject()
	f.Fuzz(func(t *testing.T, body []byte, link string) {
		list, err := parseIndex(s.Repository, "x", image.OCIIndex, body)
		if err != nil && list != nil {
			t.Errorf("%q: entries beside %v", body, err)
		}
		for _, d := range New(Options{}).View(s).layersOf(cosignTags()[0], Manifest{image.DigestOf(body), image.OCIManifest, body}) {
			if raw, err := d.raw(); err != nil || !bytes.Contains(body, raw) {
				t.Errorf("%q: the layer %q is not in it, %v", body, raw, err)
			}
		}
		layers := New(Options{}).layers(cosignTags()[0], s, true, describe("application/x", []byte("ours")))
		old := tagged{Manifest: Manifest{image.DigestOf(body), image.OCIManifest, body}, presence: Found}
		if m, changed, err := layers.extend(old); err == nil && changed {
			if _, err := completeLayers(cosignTags()[0], m, s, old, true, nil); err == nil && m["subject"] == nil {
				t.Errorf("%q became no referrer", body)
			}
		}
		_ = nextLink.FindStringSubmatch(link)
		_ = errorCode(body)
	})
}
