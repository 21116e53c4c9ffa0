package main

import (
	"context"
	"os"
	"path/filepath"
)

// documents are what the lines of attestations attest, by cosign's names for
// their types.
var documents = []struct{ kind, text string }{
	{"spdxjson", `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://example.com/app","creationInfo":{"created":"2026-11-22T08:00:00Z","creators":["Tool: x"]},"packages":[]}`},
	{"cyclonedx", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"timestamp":"2026-11-22T08:00:00Z"}}`},
	{"custom", `{"passed":true}`},
}

// signAndAttest signs an image and attests the documents: signgate in one
// process, cosign in one for the signature and one for each document.
func signAndAttest(_ context.Context, b *bench, s *site) (maker, error) {
	paths, err := b.writeDocuments()
	return func(_ context.Context, t tool) (job, error) {
		img, err := s.push()
		want := once(t)
		want.bundles += len(documents)
		j := job{check: b.signed(s, t, []image{img}, want)}
		if t == signgate {
			j.commands = []command{b.signOurs(s, s.key, []image{img}, "--sbom-path", paths[0], "--sbom-path", paths[1], "--predicate-type", documents[2].kind, "--predicate-path", paths[2])}
			return j, err
		}
		j.commands = []command{b.signTheirs(s, s.key, img)}
		for i, d := range documents {
			args := []string{"attest", "--key", s.key.uri, "--yes", "--type", d.kind, "--predicate", paths[i], "--signing-config", b.services, "--trusted-root", b.root, img.ref()}
			j.commands = append(j.commands, command{b.path[cosign], args, s.env})
		}
		return j, err
	}, err
}

func (b *bench) writeDocuments() (paths []string, err error) {
	for _, d := range documents {
		path := filepath.Join(filepath.Dir(b.root), d.kind+".json")
		if err := os.WriteFile(path, []byte(d.text), 0o600); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
