package interop

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// predicates are one of each kind, by the name that cosign has for its type, or
// its URI.
var predicates = []struct{ kind, text string }{
	{"slsaprovenance1", `{"buildDefinition":{"buildType":"https://acme.example/build/v1","externalParameters":{"ref":"main"}},"runDetails":{"builder":{"id":"https://acme.example/builder"}}}`},
	{"slsaprovenance", `{"builder":{"id":"https://acme.example/builder"},"buildType":"https://acme.example/build/v1"}`},
	{"spdxjson", `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://acme.example/app","creationInfo":{"created":"2026-11-22T08:00:00Z","creators":["Tool: x"]},"packages":[]}`},
	{"cyclonedx", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}`},
	{"vuln", `{"scanner":{"uri":"pkg:github/aquasecurity/trivy@0.60","version":"0.60","db":{},"result":{"critical":0}},"metadata":{"scanFinishedOn":"2026-11-22T08:00:00Z"}}`},
	{"openvex", `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://acme.example/vex","author":"acme","timestamp":"2026-11-22T08:00:00Z","version":1,"statements":[]}`},
	{"https://in-toto.io/attestation/vulns/v0.1", `{"scanner":{"uri":"pkg:x","result":[]},"metadata":{}}`},
	{"https://signgate.dev/attestation/malware-scan/v1", `{"result":{"clean":true}}`},
	{"https://signgate.dev/attestation/contents/v1", `{"layers":[]}`},
	{"https://acme.example/anything/v1", `{"text":"<a & \"b\">","big":9007199254740993}`},
}

func predicateFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "predicate.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verifyAttestation runs a reader on an image. What it can read of attestations is
// what it can read of signatures.
func (r registry) verifyAttestation(t *testing.T, reader int, public, kind, ref string) result {
	t.Helper()
	args := slices.Concat([]string{"verify-attestation", "--key", public, "--type", kind, "--insecure-ignore-tlog"}, readers[reader].flags(t), []string{ref})
	return run(t, r.env, *readers[reader].cosign, args...)
}

// Stock cosign verifies attestations of each type that signgate makes, in each
// form and in both, for an index and its platforms, and refuses another key and
// another type.
func TestCosignVerifiesOurAttestations(t *testing.T) {
	for _, start := range []func(*testing.T) registry{startReferrers, startFallback} {
		reg, k, other := start(t), newP256(t), newP256(t)
		for _, p := range predicates {
			t.Run(p.kind, func(t *testing.T) {
				t.Parallel()
				index, children := reg.pushIndex(t, false, "1.0")
				args := slices.Concat([]string{"attest", "--settle", "0s", "--predicate-type", p.kind, "--predicate-path", predicateFile(t, p.text)}, k.flags, index.references())
				reg.signgate(t, passed, args...)
				for i, reader := range readers {
					for _, img := range append(children, index) {
						got := reg.verifyAttestation(t, i, k.public, p.kind, img.at())
						if reads := slices.Contains(reader.reads, both); (got.code == 0) != reads {
							t.Errorf("%s and %s: want verified %t\n%s", reader.name, p.kind, reads, got)
						}
					}
					if got := reg.verifyAttestation(t, i, other.public, p.kind, index.at()); got.code == 0 {
						t.Errorf("%s accepts another key\n%s", reader.name, got)
					}
					if got := reg.verifyAttestation(t, i, k.public, "https://acme.example/other", index.at()); got.code == 0 {
						t.Errorf("%s accepts another type\n%s", reader.name, got)
					}
				}
			})
		}
	}
}

// Each form by itself, with the kinds of keys that cosign reads everywhere.
func TestCosignVerifiesEachForm(t *testing.T) {
	reg := startReferrers(t)
	for name, k := range map[string]key{"P-256": newP256(t), "RSA": newRSA(t, 2048)} {
		for _, formats := range []string{simpleSigning, bundle} {
			t.Run(name+" "+formats, func(t *testing.T) {
				t.Parallel()
				img, p := reg.push(t, "1.0"), predicates[2]
				reg.signgate(t, passed, slices.Concat([]string{"attest", "--formats", formats, "--predicate-type", p.kind, "--predicate-path", predicateFile(t, p.text)}, k.flags, img.references())...)
				for i, reader := range readers {
					got := reg.verifyAttestation(t, i, k.public, p.kind, img.at())
					if reads := slices.Contains(reader.reads, formats); (got.code == 0) != reads {
						t.Errorf("%s and %s: want verified %t\n%s", reader.name, formats, reads, got)
					}
				}
			})
		}
	}
}

// signgate verifies what stock cosign attests, and adds to it without a loss.
func TestWeVerifyCosignsAttestations(t *testing.T) {
	eachMode(t, func(t *testing.T, reg registry) {
		k, other := newCosign(t, programs.cosign3), newP256(t)
		for i, writer := range writers {
			t.Run(writer.name, func(t *testing.T) {
				img := reg.push(t, "1.0")
				reg.cosignSign(t, i, k, img.at())
				verify := []string{"verify", "--trusted-keys", k.public, "--attestation"}
				for _, p := range predicates[:6] {
					reg.signgate(t, refused, append(verify, p.kind, img.at())...)
					must(t, reg.env, *writer.cosign, slices.Concat([]string{"attest", "--key", k.path, "--yes", "--type", p.kind, "--predicate", predicateFile(t, p.text)}, writer.flags(t), []string{img.at()})...)
					reg.signgate(t, passed, append(verify, p.kind, img.at())...)
				}
				reg.signgate(t, refused, "verify", "--trusted-keys", other.public, "--attestation", "spdxjson", img.at())
				p := predicates[len(predicates)-1]
				reg.signgate(t, passed, slices.Concat([]string{"attest", "--predicate-type", p.kind, "--predicate-path", predicateFile(t, p.text)}, other.flags, img.references())...)
				for _, p := range predicates[:6] {
					reg.signgate(t, passed, append(verify, p.kind, img.at())...)
				}
			})
		}
	})
}
