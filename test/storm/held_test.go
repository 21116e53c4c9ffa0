package storm

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	signatureType = "https://sigstore.dev/cosign/sign/v1"
)

// held is what a registry holds for a subject, read without signgate.
type held struct {
	bundles []envelope // signatures, of the referrers API and of the fallback tag
	layers  []envelope // of the signature tag
	twice   []string   // digests that one list has twice
}

// held reads the registry as it is, undisturbed.
func (x *target) held(t *testing.T) held {
	t.Helper()
	x.Intercept(nil)
	var h held
	listed := map[string]bool{}
	for _, list := range [][]v1.Descriptor{x.apiList(t), x.tagList(t)} {
		once := map[string]bool{}
		for _, d := range list {
			digest := d.Digest.String()
			if once[digest] {
				h.twice = append(h.twice, digest)
			}
			if once[digest] = true; d.ArtifactType == bundleType && d.Annotations["dev.sigstore.bundle.predicateType"] == signatureType && !listed[digest] {
				listed[digest] = true
				h.bundles = append(h.bundles, x.bundle(t, digest))
			}
		}
	}
	h.layers = x.layers(t)
	return h
}

// check fails the test unless there is one signature of the key in each of the
// formats, and nothing besides.
func (h held) check(t *testing.T, what string, x *target, formats ...string) {
	t.Helper()
	for _, f := range formats {
		list := h.bundles
		if f == simplesigning {
			list = h.layers
		}
		if len(list) != 1 || !list[0].by(x.key, x.digest) {
			t.Errorf("%s: %d signatures in the format %s, want one that verifies: %v", what, len(list), f, list)
		}
	}
	if len(h.twice) > 0 {
		t.Errorf("%s: listed twice: %v", what, h.twice)
	}
}

// complete reports whether the registry holds what a run was asked for.
func (h held) complete(x *target) bool {
	return count(h.bundles, x.key, x.digest) == 1 && count(h.layers, x.key, x.digest) == 1
}

func count(list []envelope, k key, digest string) (n int) {
	for _, e := range list {
		if e.by(k, digest) {
			n++
		}
	}
	return n
}
