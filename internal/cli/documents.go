package cli

import (
	"fmt"
	"slices"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/provenance"
	"github.com/signgate/signgate/internal/attest/sbom"
	"github.com/signgate/signgate/internal/attest/scan"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
)

// document is a predicate that is to be attested.
type document struct {
	attest.Predicate
	source string                // what the user gave, for messages
	scan   bool                  // it is what a scanner has found
	beside []envelope.Attachment // what is attached with it
}

// attests reports whether anything is to be attested.
func (o options) attests() bool {
	return o.Provenance || slices.ContainsFunc([]string{"sbom-path", "scan-path", "predicate-path", "predicate-type", "contents"}, func(name string) bool { return o.get(name) != "" })
}

// readDocuments reads the files that are to be attested, before anything is asked
// of a registry or a key backend.
func (r *run) readDocuments() error {
	if err := r.checkAttesting(); err != nil {
		return err
	}
	if r.Provenance { // whether there is a run to speak of
		if _, err := provenance.Predicate(r.workflowRun(), nil, r.now); err != nil {
			return err
		}
	}
	for _, path := range r.lines("sbom-path") {
		if err := r.readDocument("sbom-path", path, sbom.Read); err != nil {
			return err
		}
	}
	form := scanForms[r.get("scan-predicate")]
	for _, path := range r.lines("scan-path") {
		err := r.readDocument("scan-path", path, func(text []byte) (attest.Predicate, error) { return scan.Read(text, form) })
		if err != nil {
			return err
		}
	}
	if path := r.get("predicate-path"); path != "" {
		return r.readDocument("predicate-path", path, func(text []byte) (attest.Predicate, error) {
			return attest.Custom(r.get("predicate-type"), text)
		})
	}
	return nil
}

var scanForms = map[string]scan.Form{"cosign": scan.Cosign, "in-toto": scan.InToto}

func (r *run) checkAttesting() error {
	for _, pair := range [][2]string{{"predicate-path", "predicate-type"}, {"predicate-type", "predicate-path"}} {
		if r.get(pair[0]) != "" && r.get(pair[1]) == "" {
			return fault.Configf("inputs_contradict", "set both, or neither", "%s is given without %s", pair[0], pair[1])
		}
	}
	if c := r.get("contents"); c != "" && c != "layers" && c != "files" {
		return badInput("contents", c, "layers or files")
	}
	if f := r.get("scan-predicate"); f != "cosign" && f != "in-toto" {
		return badInput("scan-predicate", f, "cosign or in-toto")
	}
	if r.report.Command == "attest" && !r.attests() {
		return fault.Configf("attestation_nothing", "set provenance, sbom-path, scan-path, contents, or predicate-type and predicate-path", "nothing is given to attest")
	}
	return nil
}

func (r *run) readDocument(input, path string, read func([]byte) (attest.Predicate, error)) error {
	text, err := readFile(input, r.runner.TranslatePath(path), scan.MaxReport)
	if err != nil {
		return err
	}
	p, err := read(text)
	if err != nil {
		return fmt.Errorf("%s %s: %w", input, path, err)
	}
	for _, note := range p.Notes {
		r.warn(input + " " + path + ": " + note)
	}
	if input == "scan-path" && len(p.Digests) == 0 && !r.AllowUnnamed {
		return fault.Configf("scan_unnamed", "scan the image by its digest, NAME@sha256:…, or set allow-unnamed: true when you know that it is this image",
			"%s %s does not name the digest of what was scanned", input, path)
	}
	r.documents = append(r.documents, document{Predicate: p, source: input + " " + path, scan: input == "scan-path"})
	return nil
}
