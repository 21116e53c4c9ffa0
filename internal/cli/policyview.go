package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

// keyView is a key of a policy as the policy verbs print it.
type keyView struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	Source      string `json:"source"`
	Counts      bool   `json:"counts"` // now
	Validity    string `json:"validity"`
}

func viewKey(k policy.Key, now time.Time) keyView {
	return keyView{Name: k.Name, Type: signer.KeyType(k.Public), Fingerprint: k.Fingerprint, Source: k.Source,
		Counts: k.Problem(now) == nil, Validity: validity(k.Validity)}
}

// validity says when a key counts.
func validity(v policy.Validity) string {
	var parts []string
	if v.Revoked != nil {
		parts = append(parts, "revoked"+v.Revoked.String())
	}
	if !v.NotBefore.IsZero() {
		parts = append(parts, "from "+stamp(v.NotBefore))
	}
	if !v.NotAfter.IsZero() {
		parts = append(parts, "until "+stamp(v.NotAfter))
	}
	if len(parts) == 0 {
		return "no limit"
	}
	return strings.Join(parts, ", ")
}

// patternView is a pattern and what decides between patterns.
type patternView struct {
	Pattern string `json:"pattern"`
	Literal int    `json:"literal"` // characters before the first wildcard
	Exact   bool   `json:"exact"`
}

func viewPattern(p policy.Pattern) patternView {
	literal, exact := specificity(p)
	return patternView{p.String(), literal, exact}
}

func (p patternView) String() string {
	if p.Exact {
		return p.Pattern + " (exact)"
	}
	return fmt.Sprintf("%s (%d literal characters)", p.Pattern, p.Literal)
}

// ruleView is a rule as the policy verbs print it.
type ruleView struct {
	Patterns []patternView `json:"patterns"`
	Requires []string      `json:"requires"`
	Mode     policy.Mode   `json:"mode"`
}

func viewRule(r policy.Rule) ruleView {
	v := ruleView{Requires: requirements(r), Mode: r.Mode}
	for _, p := range r.Patterns {
		v.Patterns = append(v.Patterns, viewPattern(p))
	}
	return v
}

// requirements says what a rule asks for, a sentence for each.
func requirements(r policy.Rule) []string {
	var out []string
	for _, g := range r.Require {
		out = append(out, "signatures "+group(g))
	}
	if r.MaxAge > 0 {
		out = append(out, "signatures at most "+span(r.MaxAge)+" old, by their signed issue time")
	}
	out = append(out, bound(r.Bind)...)
	if r.Index == policy.Self {
		out = append(out, "of an index, the index alone")
	} else {
		out = append(out, "of an index, the index and each platform's manifest")
	}
	for _, a := range r.Attestations {
		out = append(out, attestation(a))
	}
	if r.Base != nil {
		out = append(out, "the base image, as "+r.Base.DigestFrom+" name it, meets its own rule")
	}
	return out
}

// group says whose signatures are asked for.
func group(g policy.Group) string {
	var names []string
	for _, k := range g.Keys {
		names = append(names, k.Name)
	}
	s := fmt.Sprintf("%s: %d of %s", g.Name, g.Min, strings.Join(names, ", "))
	if len(g.Formats) == 1 {
		s += fmt.Sprintf(", as %s only", g.Formats[0])
	}
	return s
}

func bound(b policy.Bind) (out []string) {
	switch {
	case len(b.Remap) > 0:
		for _, from := range slices.Sorted(maps.Keys(b.Remap)) {
			out = append(out, "the signed repository is that of the image, with "+from+" for "+b.Remap[from])
		}
	case b.Repository:
		out = append(out, "the signed repository is that of the image")
	}
	if b.Tag {
		out = append(out, "the signed tags have the one that was asked for")
	}
	if b.Rollback {
		out = append(out, "the signed sequence number is not below what was accepted before")
	}
	return out
}

func attestation(a policy.Attestation) string {
	s := fmt.Sprintf("attestation %s, %s, by %s", a.Type, a.Which, group(a.By))
	if a.MaxAge > 0 {
		s += ", at most " + span(a.MaxAge) + " old"
	}
	if a.Where != nil {
		s += ", where " + a.Where.Text
	}
	return s
}

// span prints a duration in days where it has whole ones.
func span(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d == days*24*time.Hour {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
