package attest

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// MaxPredicate is the largest predicate that is made and read, in bytes.
const MaxPredicate = 16 << 20

// Predicate is what a statement says of its subjects.
type Predicate struct {
	Type string         // a URI, which says what Body means
	Body jsontext.Value // a JSON object, compact

	// Digests are those of the images (sha256:…) that the document behind the
	// predicate names as what it is about, and Names what it calls them. Both are
	// empty when it names none.
	Digests []string
	Names   []string

	// Notes are what the user should know of the document, a sentence each.
	Notes []string
}

// The predicate types that signgate makes.
const (
	Provenance = "https://slsa.dev/provenance/v1"
	SPDX       = "https://spdx.dev/Document"
	CycloneDX  = "https://cyclonedx.org/bom"
	CosignVuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
	Vulns      = "https://in-toto.io/attestation/vulns/v0.1"
	Malware    = "https://signgate.dev/attestation/malware-scan/v1"
	Contents   = "https://signgate.dev/attestation/contents/v1"
)

// short are cosign's names for predicate types (cosign attest --type).
var short = map[string]string{
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  Provenance,
	"link":             "https://in-toto.io/Link/v1",
	"spdx":             SPDX,
	"spdxjson":         SPDX,
	"cyclonedx":        CycloneDX,
	"vuln":             CosignVuln,
	"openvex":          "https://openvex.dev/ns",
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
}

// Name returns cosign's name for a predicate type, and the URI where it has none.
func Name(uri string) string {
	for _, name := range []string{"slsaprovenance1", "slsaprovenance02", "spdxjson", "cyclonedx", "vuln", "openvex", "link", "custom"} {
		if short[name] == uri {
			return name
		}
	}
	return uri
}

// versions are the types of families whose versions differ in meaning: one that
// is not listed is more likely a slip than a new version.
var versions = map[string][]string{
	"https://slsa.dev/provenance/":                  {"v0.1", "v0.2", "v1", "v1.0"},
	"https://slsa.dev/verification_summary/":        {"v0.1", "v0.2", "v1"},
	"https://in-toto.io/attestation/vulns/":         {"v0.1", "v0.2"},
	"https://cosign.sigstore.dev/attestation/vuln/": {"v1"},
	"https://in-toto.io/attestation/test-result/":   {"v0.1"},
	"https://in-toto.io/Link/":                      {"v0.3", "v1"},
	"https://signgate.dev/attestation/":             {"malware-scan/v1", "contents/v1"},
}

// Type returns the URI of a predicate type that is given as such, or by one of
// cosign's names. The errors are configuration faults:
// "predicate_type_invalid" for what is no URI or stands for a signature, and
// "predicate_version_unknown".
func Type(name string) (string, error) {
	if uri, ok := short[name]; ok {
		return uri, nil
	}
	u, err := url.Parse(name)
	if err != nil || !u.IsAbs() || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", fault.Configf("predicate_type_invalid", "give a URI such as "+Provenance+", or one of cosign's names such as spdxjson or vuln", "the predicate type %q is no URI", name)
	}
	if name == envelope.SignaturePredicate {
		return "", fault.Configf("predicate_type_invalid", "sign the image, which makes one", "the predicate type %s is that of a signature, and no attestation has it", name)
	}
	for family, known := range versions {
		if version, ours := strings.CutPrefix(name, family); ours && !slices.Contains(known, version) {
			return "", fault.Configf("predicate_version_unknown", "correct it, or use a type of your own", "the predicate type %s has a version that this signgate does not know; it knows %s", name, strings.Join(known, ", "))
		}
	}
	return name, nil
}

// Custom returns a predicate with the text of a JSON file, as it is. The errors
// are those of Type and Object.
func Custom(name string, text []byte) (Predicate, error) {
	uri, err := Type(name)
	if err != nil {
		return Predicate{}, err
	}
	body, err := Object(text)
	return Predicate{Type: uri, Body: body}, err
}

// Object checks that text is one JSON object without duplicate names, of at
// most MaxPredicate bytes, and returns it in compact form. The error is a
// configuration fault ("predicate_invalid").
func Object(text []byte) (jsontext.Value, error) {
	body := jsontext.Value(text).Clone()
	err := body.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	switch {
	case err != nil:
		return nil, fault.Configf("predicate_invalid", "correct the file", "it is not JSON as RFC 8259 has it, with each name once: %w", err)
	case body.Kind() != '{':
		return nil, fault.Configf("predicate_invalid", "put it into an object", "it is %s, and a predicate is an object", kindName(body.Kind()))
	case len(body) > MaxPredicate:
		return nil, fault.Configf("predicate_invalid", "make it smaller; a digest of a large document can stand for it", "it has %d bytes, more than the %d that are read", len(body), MaxPredicate)
	}
	return body, nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return k.String()
}

// Essence returns a name for what a predicate says, which two have in common when
// they say the same. When it was made is left out for provenance: a step that is
// run again says nothing new.
func Essence(predicateType string, body jsontext.Value) string {
	text := body.Clone()
	var members map[string]any
	if predicateType == Provenance && json.Unmarshal(text, &members) == nil {
		if details, ok := members["runDetails"].(map[string]any); ok {
			if metadata, ok := details["metadata"].(map[string]any); ok {
				delete(metadata, "finishedOn")
			}
		}
		if shorter, err := Of(members); err == nil {
			text = shorter
		}
	}
	if text.Compact() != nil {
		text = body
	}
	return predicateType + " " + image.DigestOf(text)
}

// Of returns v as the body of a predicate.
func Of(v any) (jsontext.Value, error) {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return Object(text)
}
