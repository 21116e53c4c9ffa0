//go:build containers_image_openpgp

package interop

import "testing"

// mldsa65 is the key of the seed 00 01 … 1f (RFC 9881 appendix C.1).
const mldsa65 = `-----BEGIN PRIVATE KEY-----
MDQCAQAwCwYJYIZIAWUDBAMSBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ
GhscHR4f
-----END PRIVATE KEY-----
`

func newMLDSA(t *testing.T) key {
	path := write(t, "key.pem", mldsa65)
	return key{flags: []string{"--key", path}, path: path, public: write(t, "key.pub", must(t, nil, programs.signgate, "key", "public", "--key", path))}
}

// An ML-DSA signature beside one by P-256 does not keep stock tools from
// finding theirs, and a gate that asks for both refuses one alone.
func TestHybrid(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		a, q := newP256(t), newMLDSA(t)
		gate := func(img image) []string {
			return []string{"verify", "--trusted-keys", a.public, "--trusted-keys", q.public, "--threshold", "2", img.tagged("1.0")}
		}
		for _, formats := range []string{simpleSigning, bundle, both} {
			img := reg.push(t, "1.0")
			reg.sign(t, img, formats, a)
			reg.signgate(t, refused, gate(img)...)
			reg.sign(t, img, formats, key{flags: append(a.flags, q.flags...)})
			reg.signgate(t, passed, gate(img)...)
			reg.cosignAll(t, formats, a.public, img.tagged("1.0"))
			reg.cosignNone(t, q.public, img.at())
			if formats == bundle {
				continue
			}
			if err := reg.pull(t, a.public, false, img.tagged("1.0")); err != nil {
				t.Errorf("containers/image refuses the P-256 key: %v", err)
			}
			if reg.pull(t, q.public, false, img.tagged("1.0")) == nil {
				t.Error("containers/image verifies ML-DSA: the warning is out of date")
			}
		}
	})
}
