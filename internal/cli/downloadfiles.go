package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// save writes an envelope and what is in it.
func (r *run) save(s image.Subject, v envelope.Verified, n int) (downloaded, error) {
	kind := v.PredicateType
	if v.Format == envelope.SimpleSigning {
		kind = "simplesigning"
	}
	stem := fmt.Sprintf("%s/%s/%02d-%s", folder(s.Repository), s.Digest[len("sha256:"):][:12], n+1, fileName(kind))
	d := downloaded{Image: s.String(), Type: kind, Format: v.Format, Manifest: v.Manifest, Key: v.Key.Name, Envelope: stem + envelopeSuffix(v.Format)}
	if err := r.writeFile(d.Envelope, v.Blob); err != nil || v.Format == envelope.SimpleSigning {
		return d, err
	}
	statement, err := statementOf(v.Candidate)
	if err != nil {
		return d, err
	}
	d.Statement = stem + ".statement.json"
	if err := r.writeFile(d.Statement, statement); err != nil || len(v.Predicate) == 0 {
		return d, err
	}
	d.Predicate = stem + predicateSuffix(v.PredicateType)
	return d, r.writeFile(d.Predicate, v.Predicate)
}

func envelopeSuffix(f envelope.Format) string {
	switch f {
	case envelope.SimpleSigning:
		return ".payload.json"
	case envelope.DSSE:
		return ".dsse.json"
	}
	return ".sigstore.json"
}

func predicateSuffix(predicateType string) string {
	switch predicateType {
	case attest.SPDX:
		return ".spdx.json"
	case attest.CycloneDX:
		return ".cdx.json"
	}
	return ".predicate.json"
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9._]+`)

// folder returns the path for a repository, which no other repository has.
func folder(repository string) string {
	parts := strings.Split(repository, "/")
	for i, p := range parts {
		parts[i] = fileName(p)
	}
	return strings.Join(parts, "/")
}

// fileName returns a name for a file that begins with neither a dot nor a hyphen,
// of at most 80 characters, whoever chose the text.
func fileName(text string) string {
	name := notInFileNames.ReplaceAllString(strings.TrimPrefix(text, "https://"), "-")
	name = strings.Trim(name[:min(len(name), 80)], ".-")
	if name == "" {
		return "unnamed"
	}
	return name
}

// writeFile replaces a file of the output folder.
func (r *run) writeFile(name string, data []byte) error {
	path, err := r.runner.WorkspacePath(filepath.Join(r.get("output-dir"), filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if err = r.runner.MkdirAll(filepath.Dir(path)); err == nil {
		err = replaceFile(path, data)
	}
	r.runner.Chown(path)
	if err != nil {
		return fault.Configf("output_unwritable", "give a folder that can be written to", "%s cannot be written: %w", name, err)
	}
	return nil
}
