// Package sbom reads software bills of materials and makes predicates of them.
//
// It reads JSON of two kinds: SPDX 2.2 and 2.3
// (https://spdx.github.io/spdx-spec/v2.3) and CycloneDX 1.2 to 1.7
// (https://cyclonedx.org/docs/1.7/json). A document has the members that its
// specification requires and they have the right types; members that the
// specification does not know are left alone. The predicate is the document
// itself, without the spaces between its values.
//
// What image the document is about is read from its root alone: the component of
// CycloneDX's metadata, and the packages that an SPDX document describes. A
// package in the image may well be an image, too.
package sbom

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
)

// MaxText is the largest document that is read, in bytes. Its predicate has at
// most attest.MaxPredicate bytes.
const MaxText = 64 << 20

// head has the members that tell the kinds apart.
type head struct {
	BOMFormat   *string        `json:"bomFormat"`
	SpecVersion string         `json:"specVersion"`
	SPDXVersion *string        `json:"spdxVersion"`
	Context     jsontext.Value `json:"@context"`
}

// document is a parsed SBOM of one kind.
type document interface {
	problem() error              // what breaks the specification, or nil
	root(named *attest.Naming)   // adds what it is about
	created() (timestamp string) // "" when it does not say
}

// Read returns the predicate of the SBOM in text: its type, the document, and the
// images that its root names. It says in a note when it names none by digest, and
// when it does not say its time. The errors are configuration faults:
// "sbom_invalid", "sbom_version" for a version that is not read here, and
// "predicate_invalid" for one that is too large.
func Read(text []byte) (attest.Predicate, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // not part of JSON, and some tools write it
	kind, doc, err := kindOf(text)
	if err != nil {
		return attest.Predicate{}, err
	}
	if err := attest.Parse(text, doc); err != nil {
		return attest.Predicate{}, invalid("%w", err)
	}
	if err := doc.problem(); err != nil {
		return attest.Predicate{}, err
	}
	body, err := attest.Object(text)
	if err != nil {
		return attest.Predicate{}, err
	}
	var named attest.Naming
	doc.root(&named)
	return attest.Predicate{Type: kind, Body: body, Digests: named.Digests, Names: named.Names, Notes: notes(doc, named)}, nil
}

func notes(doc document, named attest.Naming) (out []string) {
	if len(named.Digests) == 0 {
		out = append(out, "the SBOM names no image by its digest, so nothing but its signer says which image it is about")
	}
	if doc.created() == "" {
		out = append(out, "the SBOM does not say when it was made, so a policy with maxAge will not count it")
	}
	return out
}

// kindOf returns the predicate type of text and what it is to be parsed into.
func kindOf(text []byte) (string, document, error) {
	if err := notJSON(text); err != nil {
		return "", nil, err
	}
	var h head
	if err := attest.Parse(text, &h); err != nil {
		return "", nil, invalid("%w", err)
	}
	switch {
	case h.BOMFormat != nil && h.SPDXVersion != nil:
		return "", nil, invalid("it calls itself both CycloneDX and SPDX")
	case h.BOMFormat != nil:
		return cycloneDXOf(*h.BOMFormat, h.SpecVersion)
	case h.SPDXVersion != nil:
		return spdxOf(*h.SPDXVersion)
	case bytes.Contains(h.Context, []byte("spdx.org/rdf/3")):
		return "", nil, unknownVersion("SPDX", "3", "SPDX 2.2 and 2.3")
	}
	return "", nil, invalid("it has neither the member bomFormat of CycloneDX nor spdxVersion of SPDX")
}

func cycloneDXOf(format, version string) (string, document, error) {
	if format != "CycloneDX" {
		return "", nil, invalid("its bomFormat is %q, and that of CycloneDX is %q", format, "CycloneDX")
	}
	known := []string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"}
	if !slices.Contains(known, version) {
		return "", nil, unknownVersion("CycloneDX", version, "CycloneDX 1.2 to 1.7")
	}
	return attest.CycloneDX, &cycloneDX{strict: slices.Contains(known[:2], version), numbered: slices.Contains(known[:4], version)}, nil
}

func spdxOf(version string) (string, document, error) {
	if version != "SPDX-2.2" && version != "SPDX-2.3" {
		return "", nil, unknownVersion("SPDX", version, "SPDX 2.2 and 2.3")
	}
	return attest.SPDX, &spdx{}, nil
}

// notJSON explains the forms of the two specifications that are not JSON.
func notJSON(text []byte) error {
	start := bytes.TrimSpace(text)
	switch {
	case len(start) == 0:
		return invalid("it is empty")
	case len(text) > MaxText:
		return invalid("it has %d bytes, more than the %d that are read", len(text), MaxText)
	case start[0] == '<':
		return invalid("it is XML, and JSON is read")
	case bytes.HasPrefix(start, []byte("SPDXVersion:")):
		return invalid("it is SPDX in the tag-value form, and JSON is read")
	case start[0] != '{':
		return invalid("it is no JSON object")
	}
	return nil
}

const next = "make it as SPDX 2.3 or CycloneDX JSON, such as with: syft IMAGE@DIGEST -o spdx-json"

func invalid(format string, args ...any) error {
	return fault.Configf("sbom_invalid", next, "the SBOM cannot be used: "+format, args...)
}

func unknownVersion(kind, version, known string) error {
	return fault.Configf("sbom_version", next, "the SBOM is %s of the version %q, and this signgate reads %s", kind, version, known)
}
