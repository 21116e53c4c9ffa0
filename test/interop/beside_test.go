package interop

import (
	"fmt"
	"slices"
	"testing"
)

// cosign, signgate and cosign again sign one image, each with a key of its own:
// no signature is lost, and all verify.
func TestSignaturesOfAllToolsSurvive(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		img := reg.push(t, "1.0")
		signed := map[string][]string{} // format → public keys
		var all []string
		theirs := func() {
			for i, writer := range writers {
				k := newCosign(t, programs.cosign3)
				reg.cosignSign(t, i, k, img.at())
				signed[writer.format], all = append(signed[writer.format], k.public), append(all, k.public)
			}
		}
		ours := func() {
			k := newP256(t)
			reg.sign(t, img, both, k)
			signed[simpleSigning], signed[bundle] = append(signed[simpleSigning], k.public), append(signed[bundle], k.public)
			all = append(all, k.public)
		}
		theirs()
		ours()
		theirs()
		ours()

		verify := []string{"verify", "--threshold", fmt.Sprint(len(all)), img.tagged("1.0")}
		for _, public := range all {
			verify = append(verify, "--trusted-keys", public)
		}
		reg.signgate(t, passed, verify...)
		reg.wantBundles(t, img, len(signed[bundle]))
		for _, public := range signed[bundle] {
			reg.cosignAll(t, both, public, img.at())
		}
		// cosign looks at simple signing where there is no bundle.
		bare := reg.copyTo(t, img, reg.newRepository(), img.digest)
		reg.copyTo(t, img, bare.repo, img.tagFor(".sig"))
		for _, public := range signed[simpleSigning] {
			reg.cosignAll(t, simpleSigning, public, bare.at())
		}
	})
}

// Our bundles are listed with what readers look for who do not fetch them, also
// after others have added to the list.
func TestBundlesAreListedWithTheirTypes(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		theirs := newCosign(t, programs.cosign3)
		img := reg.push(t, "1.0")
		var ours []string
		for range 2 {
			ours = append(ours, reg.sign(t, img, bundle, newP256(t)).Subjects[0].Written...)
			reg.cosignSign(t, 0, theirs, img.at())
		}
		listed := 0
		for _, d := range reg.referrers(t, img) {
			if !slices.Contains(ours, d.Digest.String()) {
				continue
			}
			listed++
			predicate := d.Annotations["dev.sigstore.bundle.predicateType"]
			if d.ArtifactType != "application/vnd.dev.sigstore.bundle.v0.3+json" || predicate != "https://sigstore.dev/cosign/sign/v1" {
				t.Errorf("%s is listed with the artifact type %q and the predicate type %q", d.Digest, d.ArtifactType, predicate)
			}
		}
		if listed != 2 {
			t.Errorf("%d of our 2 bundles are listed", listed)
		}
	})
}

// cosign copies an image with its signatures, and leaves a copy of the image at
// the fallback tag, which is no index of referrers. Where there is a referrers
// API, nobody needs that tag: cosign signs the copy, and so does signgate.
func TestCopiesOfCosignCanBeSigned(t *testing.T) {
	for name, cosign := range map[string]string{"cosign 2": programs.cosign2, "cosign 3": programs.cosign3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, k, theirs := startReferrers(t), newP256(t), newCosign(t, cosign)
			img := reg.push(t, "1.0")
			reg.sign(t, img, simpleSigning, k)
			to := image{repo: reg.newRepository(), digest: img.digest, tags: img.tags}
			must(t, reg.env, cosign, "copy", img.tagged("1.0"), to.tagged("1.0"))
			reg.cosignSign(t, 0, theirs, to.at())
			reg.sign(t, to, both, k)
			for _, public := range []string{k.public, theirs.public} {
				reg.cosignAll(t, both, public, to.at())
				reg.signgate(t, passed, "verify", "--trusted-keys", public, to.tagged("1.0"))
			}
		})
	}
}

// Signing again writes nothing, also when others have signed in between.
func TestSigningAgainWritesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k, theirs := newP256(t), newCosign(t, programs.cosign3)
		img := reg.push(t, "1.0")
		for range 2 {
			reg.sign(t, img, both, k)
			reg.cosignSign(t, 0, theirs, img.at())
			reg.cosignSign(t, 1, theirs, img.at())
		}
		for _, s := range reg.sign(t, img, both, k).Subjects {
			if len(s.Written) != 0 {
				t.Errorf("%s was written again: %q", s.Digest, s.Written)
			}
		}
	})
}
