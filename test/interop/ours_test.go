package interop

import (
	"regexp"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Stock cosign verifies what signgate signs with every kind of key, in each
// format and in both, and refuses another key.
func TestCosignVerifiesOurs(t *testing.T) {
	reg := startReferrers(t)
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) {
			t.Parallel()
			k, other := backend.make(t), newP256(t)
			for _, formats := range []string{simpleSigning, bundle, both} {
				t.Run(formats, func(t *testing.T) {
					img := reg.push(t, "1.0")
					reg.sign(t, img, formats, k)
					reg.signgate(t, passed, "verify", "--trusted-keys", k.public, img.tagged("1.0"))
					reg.cosignAll(t, formats, k.public, img.tagged("1.0"))
					reg.cosignNone(t, other.public, img.at())
				})
			}
		})
	}
}

// The core of the matrix, in every registry mode: an image, and an index with
// its platforms, by tag and by digest.
func TestCosignInEachRegistry(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k, other := newP256(t), newP256(t)
		img := reg.push(t, "1.0")
		index, children := reg.pushIndex(t, true, "1.0")
		for _, i := range []image{img, index} {
			reg.sign(t, i, both, k)
			reg.cosignAll(t, both, k.public, i.at())
			reg.cosignAll(t, both, k.public, i.tagged("1.0"))
			reg.cosignNone(t, other.public, i.at())
			reg.signgate(t, passed, "verify", "--trusted-keys", k.public, i.tagged("1.0"))
			reg.signgate(t, refused, "verify", "--trusted-keys", other.public, i.tagged("1.0"))
		}
		for _, platform := range children[:len(platforms)] {
			reg.cosignAll(t, both, k.public, platform.at())
		}
		attestation := children[len(platforms)]
		reg.cosignNone(t, k.public, attestation.at())
	})
}

// Annotations are checked by cosign, and do not stand in for each other. Of
// bundles, version 2 does not check them.
func TestCosignChecksOurAnnotations(t *testing.T) {
	t.Parallel()
	reg, k := startFallback(t), newP256(t)
	for _, formats := range []string{simpleSigning, bundle} {
		img := reg.push(t, "1.0")
		signed := slices.Concat([]string{"sign", "--formats", formats, "--annotations", "env=prod", "--annotations", "team=core"}, k.flags, img.references())
		reg.signgate(t, passed, signed...)
		reg.cosignAll(t, formats, k.public, img.at(), "-a", "env=prod", "-a", "team=core")
		for _, other := range [][]string{{"-a", "env=test"}, {"-a", "env=prod", "-a", "owner=core"}} {
			for i, reader := range readers {
				if formats == bundle && reader.cosign == &programs.cosign2 {
					continue
				}
				if got := reg.cosignVerify(t, i, k.public, img.at(), other...); got.code == 0 {
					t.Errorf("%s accepts %q\n%s", reader.name, other, got)
				}
			}
		}
		reg.signgate(t, passed, "verify", "--trusted-keys", k.public, "--annotations", "env=prod", img.at())
		reg.signgate(t, refused, "verify", "--trusted-keys", k.public, "--annotations", "env=test", img.at())
	}
}

// Nobody accepts an image without a signature, with one that was changed, or
// with one that was made for another image.
func TestNobodyAcceptsFalseSignatures(t *testing.T) {
	forgeries := []struct {
		name  string
		forge func(*testing.T, registry, key) image
	}{
		{"unsigned", func(t *testing.T, reg registry, _ key) image { return reg.push(t) }},
		{"changed simple signing", changedSimpleSigning},
		{"changed bundle", changedBundle},
		{"simple signing of another image", strangeSimpleSigning},
		{"bundle of another image", strangeBundle},
	}
	reg := startReferrers(t)
	k := newP256(t)
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			img := f.forge(t, reg, k)
			reg.cosignNone(t, k.public, img.at())
			reg.signgate(t, refused, "verify", "--trusted-keys", k.public, img.at())
		})
	}
}

// changedSimpleSigning returns an image whose signature had a character
// changed.
func changedSimpleSigning(t *testing.T, reg registry, k key) image {
	img := reg.push(t)
	reg.sign(t, img, simpleSigning, k)
	tag := img.tagged(img.tagFor(".sig"))
	m, mediaType := manifest[v1.Manifest](t, reg, tag)
	const name = "dev.cosignproject.cosign/signature"
	m.Layers[0].Annotations[name] = change(m.Layers[0].Annotations[name])
	reg.put(t, tag, m, mediaType)
	return img
}

// changedBundle returns a copy of a signed image to which the bundle is
// attached with a character of its signature changed.
func changedBundle(t *testing.T, reg registry, k key) image {
	signed := reg.push(t)
	reg.sign(t, signed, bundle, k)
	img := reg.copyTo(t, signed, reg.newRepository(), signed.digest)

	m, mediaType := reg.bundleManifest(t, signed)
	sig := regexp.MustCompile(`"sig": ?"([^"]+)"`)
	text := sig.ReplaceAllStringFunc(reg.blob(t, signed, m.Layers[0].Digest), func(s string) string {
		return `"sig":"` + change(sig.FindStringSubmatch(s)[1]) + `"`
	})
	layer := static.NewLayer([]byte(text), m.Layers[0].MediaType)
	reg.putBlob(t, img, layer)
	reg.putBlob(t, img, static.NewLayer([]byte("{}"), m.Config.MediaType))
	digest, err := layer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m.Layers[0].Digest, m.Layers[0].Size = digest, int64(len(text))
	reg.put(t, img.tagged("changed"), m, mediaType)
	reg.wantBundles(t, img, 1)
	return img
}

// change changes a character in the middle of a base64 text.
func change(text string) string {
	i, c := len(text)/2, "A"
	if text[i] == 'A' {
		c = "B"
	}
	return text[:i] + c + text[i+1:]
}

func strangeSimpleSigning(t *testing.T, reg registry, k key) image {
	signed := reg.push(t)
	reg.sign(t, signed, simpleSigning, k)
	img := reg.pushTo(t, signed.repo)
	m, mediaType := manifest[v1.Manifest](t, reg, signed.tagged(signed.tagFor(".sig")))
	reg.put(t, img.tagged(img.tagFor(".sig")), m, mediaType)
	return img
}

func strangeBundle(t *testing.T, reg registry, k key) image {
	signed := reg.push(t)
	reg.sign(t, signed, bundle, k)
	img := reg.pushTo(t, signed.repo)
	m, mediaType := reg.bundleManifest(t, signed)
	m.Subject = reg.descriptor(t, img)
	reg.put(t, img.tagged("strange"), m, mediaType)
	reg.wantBundles(t, img, 1)
	return img
}

// bundleManifest returns the manifest of the only bundle of an image.
func (r registry) bundleManifest(t *testing.T, img image) (v1.Manifest, types.MediaType) {
	t.Helper()
	r.wantBundles(t, img, 1)
	return manifest[v1.Manifest](t, r, img.repo+"@"+r.referrers(t, img)[0].Digest.String())
}

func (r registry) wantBundles(t *testing.T, img image, want int) {
	t.Helper()
	got := 0
	for _, d := range r.referrers(t, img) {
		if d.ArtifactType != "application/vnd.dev.cosign.artifact.sig.v1+json" { // a version of the signature tag
			got++
		}
	}
	if got != want {
		t.Fatalf("%d bundles are listed, want %d", got, want)
	}
}
