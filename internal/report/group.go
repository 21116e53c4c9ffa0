package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
)

// group is an image and the platform manifests below it, as they stand in a
// report.
type group []Subject

// groups returns the images of the report, those that need a look first.
func (r *Report) groups() []group {
	var out []group
	for _, s := range r.Subjects {
		if s.Index == "" || len(out) == 0 {
			out = append(out, group{})
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	slices.SortStableFunc(out, func(a, b group) int { return cmp.Compare(b.weight(), a.weight()) })
	return out
}

// weight orders what people look at: what failed, what is not known, what only
// drew a warning.
func (g group) weight() (w int) {
	for _, s := range g {
		w = max(w, s.weight())
	}
	return w
}

func (s Subject) weight() int {
	switch {
	case s.Spared:
		return 1
	case s.Outcome == "passed":
		return 0
	case s.Outcome == "undecided":
		return 2
	}
	return 3
}

// result is the outcome of a subject with a mark that is seen from afar.
func (s Subject) result() string {
	text := [...]string{"✅&nbsp;passed", "⚠️&nbsp;only warned", "❓&nbsp;undecided", "❌&nbsp;" + s.Outcome}[s.weight()]
	for _, f := range s.Findings {
		if f.Outcome != "passed" {
			return text + "<br>" + code(f.Code)
		}
	}
	return text
}

func (g group) mark() string { return [...]string{"✅", "⚠️", "❓", "❌"}[g.weight()] }

// name is what people call the image: with its tags, or else its digest.
func (g group) name() string {
	s := g[0]
	if len(s.Tags) == 0 {
		return s.Subject.String()
	}
	name := s.Repository + ":" + strings.Join(s.Tags[:min(len(s.Tags), 3)], ", ")
	if more := len(s.Tags) - 3; more > 0 {
		name += fmt.Sprintf(" and %d more", more)
	}
	return name
}

// part names a subject within its image.
func (s Subject) part() string {
	switch {
	case s.Platform != "":
		return code(s.Platform)
	case s.Index != "":
		return code(s.Digest)
	case strings.Contains(s.MediaType, "index") || strings.Contains(s.MediaType, "list"):
		return "index"
	}
	return "image"
}

// signedBy is a cell with the keys whose signatures counted, and their formats.
func (s Subject) signedBy() string {
	var keys []string
	formats := map[string][]envelope.Format{}
	for _, sig := range s.Signatures {
		if formats[sig.Key] == nil {
			keys = append(keys, sig.Key)
		}
		if !slices.Contains(formats[sig.Key], sig.Format) {
			formats[sig.Key] = append(formats[sig.Key], sig.Format)
		}
	}
	return cell(keys, func(key string) string {
		var names []string
		for _, f := range formats[key] {
			names = append(names, string(f))
		}
		slices.Sort(names)
		return code(middle(key, 60)) + "<br>" + prose(strings.Join(names, " and "))
	})
}

// attestedBy is a cell with the types of the attestations that counted.
func (s Subject) attestedBy() string {
	var types []string
	for _, a := range s.Attestations {
		if !slices.Contains(types, a.Type) {
			types = append(types, a.Type)
		}
	}
	return cell(types, func(t string) string {
		if known := typeName(t); known != t {
			return strings.ReplaceAll(known, " ", "&nbsp;")
		}
		return code(middle(t, 60))
	})
}

// cell joins at most four parts of a cell.
func cell(parts []string, write func(string) string) string {
	var out []string
	for _, p := range parts[:min(len(parts), 4)] {
		out = append(out, write(p))
	}
	if more := len(parts) - 4; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return cmp.Or(strings.Join(out, "<br>"), "–")
}

// typeName returns what people call a predicate type, and others as they are.
func typeName(t string) string {
	known := map[string]string{
		"https://slsa.dev/provenance/v1":                   "SLSA provenance",
		"https://slsa.dev/provenance/v0.2":                 "SLSA provenance v0.2",
		"https://spdx.dev/Document":                        "SPDX SBOM",
		"https://cyclonedx.org/bom":                        "CycloneDX SBOM",
		"https://cosign.sigstore.dev/attestation/vuln/v1":  "vulnerability scan",
		"https://in-toto.io/attestation/vulns/v0.1":        "vulnerability scan",
		"https://in-toto.io/attestation/test-result/v0.1":  "test result",
		"https://signgate.dev/attestation/malware-scan/v1": "malware scan",
		"https://openvex.dev/ns/v0.2.0":                    "OpenVEX",
	}
	return cmp.Or(known[t], t)
}
