package interop

import (
	"slices"
	"strings"
	"testing"
)

// signgate verifies what stock cosign signs, in each format and with both
// kinds of key, and nothing more.
func TestWeVerifyCosigns(t *testing.T) {
	keys := []struct {
		name string
		make func(*testing.T) key
	}{
		{"P-256 of cosign 2", func(t *testing.T) key { return newCosign(t, programs.cosign2) }},
		{"P-256 of cosign 3", func(t *testing.T) key { return newCosign(t, programs.cosign3) }},
		{"P-256 imported", func(t *testing.T) key { return newCosign(t, programs.cosign3, newP256(t)) }},
		{"RSA-2048 imported", func(t *testing.T) key { return newCosign(t, programs.cosign3, newRSA(t, 2048)) }},
	}
	reg := startReferrers(t)
	for _, kind := range keys {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			k, other := kind.make(t), newP256(t)
			for i, writer := range writers {
				t.Run(writer.name, func(t *testing.T) {
					img := reg.push(t, "1.0")
					reg.cosignSign(t, i, k, img.at(), "-a", "env=prod")
					verify := []string{"verify", "--trusted-keys", k.public}
					for _, ref := range []string{img.at(), img.tagged("1.0"), img.references()[0]} {
						reg.signgate(t, passed, append(verify, ref)...).wantFormats(t, writer.format)
					}
					reg.signgate(t, passed, append(verify, "--formats", writer.format, img.at())...)
					reg.signgate(t, refused, append(verify, "--annotations", "env=test", img.at())...)
					reg.signgate(t, refused, "verify", "--trusted-keys", other.public, img.at())
					if writer.annotates {
						reg.signgate(t, passed, append(verify, "--annotations", "env=prod", img.at())...)
					}
				})
			}
		})
	}
}

// wantFormats checks the formats of the signatures that counted for the first
// image.
func (r report) wantFormats(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, s := range r.Subjects[0].Signatures {
		got = append(got, s.Format)
	}
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), want) {
		t.Errorf("the formats that counted are %q, want %q\n%s", got, want, r)
	}
}

// signgate verifies what cosign has signed recursively, in every registry mode.
func TestWeVerifyCosignsIndexes(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k := newCosign(t, programs.cosign3)
		for i, writer := range writers {
			t.Run(writer.name, func(t *testing.T) {
				index, _ := reg.pushIndex(t, true, "1.0")
				reg.cosignSign(t, i, k, index.at())
				reg.signgate(t, refused, "verify", "--trusted-keys", k.public, index.tagged("1.0"))
				reg.signgate(t, passed, "verify", "--trusted-keys", k.public, "--recursive=false", index.tagged("1.0"))
				reg.cosignSign(t, i, k, index.at(), "--recursive")
				rep := reg.signgate(t, passed, "verify", "--trusted-keys", k.public, index.tagged("1.0"))
				if len(rep.Subjects) != 1+len(platforms) {
					t.Errorf("verified %d manifests, want %d\n%s", len(rep.Subjects), 1+len(platforms), rep)
				}
			})
		}
	})
}

// signgate signs with the keys that cosign encrypts, and cosign verifies.
func TestWeSignWithCosignsKeys(t *testing.T) {
	t.Parallel()
	reg := startReferrers(t)
	for _, k := range []key{newCosign(t, programs.cosign2), newCosign(t, programs.cosign3, newRSA(t, 2048))} {
		img := reg.push(t, "1.0")
		const wrong = "not the password"
		rep := reg.signgateWith(t, []string{"COSIGN_PASSWORD=" + wrong}, configuration, append([]string{"sign", "--key", k.path}, img.references()...)...)
		if strings.Contains(rep.String(), wrong) {
			t.Errorf("the password is shown:\n%s", rep)
		}
		reg.cosignNone(t, k.public, img.at())
		reg.sign(t, img, both, k)
		reg.cosignAll(t, both, k.public, img.at())
	}
}

// An attestation by the same key is no signature.
func TestWeRefuseAttestations(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k := newCosign(t, programs.cosign3)
		img := reg.push(t, "1.0")
		predicate := write(t, "predicate.json", `{"builder": "test"}`)
		for _, attest := range [][]string{
			append([]string{programs.cosign3}, noServices(t)...),
			append([]string{programs.cosign2}, noLog(t)...),
		} {
			args := slices.Concat([]string{"attest", "--key", k.path, "--yes", "--predicate", predicate}, attest[1:], []string{img.at()})
			must(t, reg.env, attest[0], args...)
		}
		reg.signgate(t, refused, "verify", "--trusted-keys", k.public, img.at())
		reg.sign(t, img, both, k)
		reg.signgate(t, passed, "verify", "--trusted-keys", k.public, img.at())
	})
}
