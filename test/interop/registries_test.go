package interop

import (
	"encoding/pem"
	"net/http/httptest"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/olareg/olareg/config"
)

// Real registries that differ from the three modes: everything is signed and
// found in each of them, and verified by cosign, which does not read the second
// page of a list.
func TestRegistries(t *testing.T) {
	off := false
	for _, tc := range []struct {
		name  string
		api   config.ConfigAPI
		paged bool
	}{
		{"referrers API switched off", config.ConfigAPI{Referrer: config.ConfigAPIReferrer{Enabled: &off}}, false},
		{"small pages of referrers", config.ConfigAPI{Referrer: config.ConfigAPIReferrer{Limit: 1500}}, true},
		{"rate limit", config.ConfigAPI{RateLimit: 40}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reg := startOlareg(t, tc.api)
			index, _ := reg.pushIndex(t, true)
			verify := []string{"verify", "--threshold", "3", index.at()}
			for range 3 {
				k := newP256(t)
				reg.sign(t, index, both, k)
				verify = append(verify, "--trusted-keys", k.public)
				if got := reg.cosignVerify(t, 0, k.public, index.at()); got.code != 0 && !tc.paged {
					t.Error(got)
				}
			}
			reg.signgate(t, passed, append(verify, "--formats", bundle)...)
			reg.signgate(t, passed, append(verify, "--formats", simpleSigning)...)
		})
	}
}

// A registry over HTTPS with the certificate of a private authority.
func TestPrivateAuthority(t *testing.T) {
	plain, handler := registry{}, olaregHandler(t, config.ConfigAPI{})
	pusher := httptest.NewServer(handler)
	t.Cleanup(pusher.Close)
	plain.host, plain.auth = pusher.Listener.Addr().String(), authn.Anonymous
	pushed := plain.push(t)
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	reg := registry{host: server.Listener.Addr().String(), auth: authn.Anonymous, env: dockerConfig(t, "{}")}
	img := image{repo: reg.host + pushed.repo[len(plain.host):], digest: pushed.digest}
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	k := newP256(t)
	reg.signgate(t, passed, "sign", "--registry-ca", ca, "--key", k.path, img.at())
	reg.signgate(t, passed, "verify", "--registry-ca", ca, "--trusted-keys", k.public, img.at())
	reg.signgate(t, undecided, "verify", "--retries", "0", "--trusted-keys", k.public, img.at())
}

// Signatures in a repository of their own: cosign finds ours, and we find
// cosign's, where COSIGN_REPOSITORY is the same. For bundles version 2 does not
// heed it.
func TestSignatureRepository(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		img, elsewhere := reg.push(t), reg.newRepository()
		cosign := reg
		cosign.env = append(cosign.env, "COSIGN_REPOSITORY="+elsewhere)
		ours := newP256(t)
		reg.signgate(t, passed, "sign", "--signature-repository", elsewhere, "--key", ours.path, img.at())
		for _, reader := range []int{0, 1} {
			if got := cosign.cosignVerify(t, reader, ours.public, img.at()); got.code != 0 {
				t.Errorf("%s: %s", readers[reader].name, got)
			}
		}
		reg.cosignNone(t, ours.public, img.at())
		for i, writer := range writers {
			if writer.cosign == &programs.cosign2 && writer.format == bundle {
				continue
			}
			theirs := newCosign(t, *writer.cosign)
			cosign.cosignSign(t, i, theirs, img.at())
			reg.signgate(t, passed, "verify", "--signature-repository", elsewhere, "--trusted-keys", theirs.public, img.at())
		}
	})
}
