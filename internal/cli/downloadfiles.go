package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// save writes an envelope and what is in it.
func (r *run) save(s image.Subject, v envelope.Verified, before []downloaded) (downloaded, error) {
	n := len(before)
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
	digest := image.DigestOf(statement)
	if same := slices.IndexFunc(before, func(o downloaded) bool { return o.digest == digest }); same >= 0 {
		d.Statement, d.Predicate, d.digest = before[same].Statement, before[same].Predicate, digest // the same in another form
		return d, nil
	}
	d.Statement, d.digest = stem+".statement.json", digest
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

// checkEmpty refuses an output folder that has something in it: files of an earlier
// download may be unverified, and would stand beside those of this one.
func (r *run) checkEmpty() error {
	dir, err := r.runner.WorkspacePath(r.get("output-dir"))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Configf("output_unwritable", "give a folder that can be written to", "%s cannot be read: %w", r.get("output-dir"), err)
	case len(entries) > 0:
		return fault.Configf("output_unwritable", "give a new folder, or empty it", "%s is not empty, and what is in it would stand beside what is downloaded now", r.get("output-dir"))
	}
	return nil
}
