// Package scan reads the reports of scanners and makes predicates of them.
//
// Of vulnerabilities it reads the JSON of Trivy (SchemaVersion 2) and of Grype,
// and SARIF 2.1.0
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), which many
// scanners write; of malware the text of clamscan. The predicate has what a policy
// decides by, in one shape whatever the scanner is: how many findings of each
// severity there are, what they are, which scanner with which database found them,
// and when.
//
// "Nothing found" is the one answer that must not be had by mistake. A report that
// is truncated, of a scan that failed, or of one that looked at nothing is refused.
package scan

import (
	"bytes"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
)

// MaxReport is the largest report that is read, in bytes.
const MaxReport = 64 << 20

// maxValues is the most values that a report may have. A finding has a dozen.
const maxValues = 4 << 20

// Form is the predicate that is made of vulnerabilities.
type Form int

// The forms.
const (
	Cosign Form = iota // attest.CosignVuln
	InToto             // attest.Vulns
)

// report is what all readers find in a report of vulnerabilities.
type report struct {
	scanner           scanner
	started, finished time.Time // zero when the report does not say
	findings          []finding
	named             attest.Naming
	notes             []string
}

type scanner struct {
	name    string // in lower case
	uri     string
	version string
	db      database
}

type database struct {
	uri, version string
	updated      time.Time
}

// github returns a scanner that is released on GitHub, by its package URL.
func github(owner, name, version string) scanner {
	s := scanner{name: name, uri: "pkg:github/" + owner + "/" + name, version: version}
	if version != "" {
		s.uri += "@" + url.PathEscape(version)
	}
	return s
}

// at returns the time that a report states, and none when it states none: nobody
// is to take a report for fresh because its time cannot be read. JSON has no
// times outside of the years 1 to 9999.
func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if year := t.UTC().Year(); err != nil || year < 1 || year > 9999 {
		return time.Time{}
	}
	return t
}

// Read returns the predicate of a report: of vulnerabilities in the given form, of
// malware as attest.Malware. Its digests are those of the images that the report
// says it is about. The notes say what the report leaves out. The errors are
// "scan_invalid" (configuration) for what is no report that is read here,
// "scan_failed" (a refusal) for the report of a scan that failed or looked at
// nothing, and "predicate_invalid" for findings that are too many.
func Read(text []byte, form Form) (attest.Predicate, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	switch {
	case len(text) > MaxReport:
		return attest.Predicate{}, invalid("it has %d bytes, more than the %d that are read", len(text), MaxReport)
	case isClamscan(text):
		return clamscan(text)
	case !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")):
		return attest.Predicate{}, invalid("it is no JSON object, and no text of clamscan with its summary")
	}
	r, err := vulnerabilities(text)
	if err != nil {
		return attest.Predicate{}, err
	}
	return r.predicate(form)
}

// head has the members that tell the reports apart.
type head struct {
	SchemaVersion jsontext.Value `json:"SchemaVersion"` // Trivy
	Matches       jsontext.Value `json:"matches"`       // Grype
	Descriptor    jsontext.Value `json:"descriptor"`    // Grype and Syft
	Version       jsontext.Value `json:"version"`       // SARIF
	Runs          jsontext.Value `json:"runs"`          // SARIF
	BOMFormat     jsontext.Value `json:"bomFormat"`     // CycloneDX
	SPDXVersion   jsontext.Value `json:"spdxVersion"`   // SPDX
	Scanner       jsontext.Value `json:"scanner"`       // the predicate itself
}

func vulnerabilities(text []byte) (*report, error) {
	if crowded(text) {
		return nil, invalid("it has more than %d values", maxValues)
	}
	var h head
	if err := attest.Parse(text, &h); err != nil {
		return nil, invalid("%w", err)
	}
	switch {
	case h.SchemaVersion != nil:
		return trivy(text)
	case h.Matches != nil && h.Descriptor != nil:
		return grype(text)
	case h.Runs != nil && h.Version != nil:
		return sarif(text)
	case h.BOMFormat != nil || h.SPDXVersion != nil:
		return nil, unusable("attest it as an SBOM, and scan the image for a report", "it is an SBOM")
	case h.Scanner != nil:
		return nil, unusable("give it as a predicate of its own with predicate-type and predicate-path", "it is a predicate already")
	}
	return nil, invalid("it is none of the reports that are read")
}

// crowded reports whether a document has too many values, as image.Crowded does.
func crowded(text []byte) bool {
	return bytes.Count(text, []byte{','})+bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) > maxValues
}

func invalid(format string, args ...any) error {
	return unusable("give a report as trivy -f json, grype -o json, either one's SARIF 2.1.0, or clamscan writes it", format, args...)
}

func unusable(next, format string, args ...any) error {
	return fault.Configf("scan_invalid", next, "the report cannot be used: "+format, args...)
}

func failed(format string, args ...any) error {
	return fault.Refusedf("scan_failed", "scan again, and keep the report only when the scanner succeeds", "the report is of a scan that tells nothing: "+format, args...)
}
