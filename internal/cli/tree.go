package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
)

// printTree prints what inspect found, for people.
func printTree(w io.Writer, images []attachedImage) error {
	var b strings.Builder
	for _, img := range images {
		report.Line(&b, "%s", img.Subject)
		if img.Platform != "" {
			report.Line(&b, "├─ platform %s of %s", img.Platform, img.Index)
		}
		for _, s := range img.Signatures {
			report.Line(&b, "├─ signature %s, %s", s.Format, s.Manifest)
			for _, line := range s.details() {
				report.Line(&b, "│    %s", line)
			}
		}
		for _, a := range img.Attestations {
			report.Line(&b, "├─ attestation %s, %s, %s", a.Type, a.Format, a.Manifest)
			report.Line(&b, "│    %s%s, about %s", keyLine(a.Key, a.Fingerprint), verifiedNote(a.Verified), manifestCount(len(a.Subjects)))
		}
		for _, u := range img.Unreadable {
			report.Line(&b, "├─ unreadable: %s", u)
		}
		for _, a := range img.Attached {
			report.Line(&b, "├─ %s in the %s%s", a.Digest, a.Store, kindOf(a))
		}
		if len(img.Signatures)+len(img.Attestations)+len(img.Attached)+len(img.Unreadable) == 0 {
			b.WriteString("├─ nothing is attached\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s attachedSignature) details() []string {
	out := []string{keyLine(s.Key, s.Fingerprint) + verifiedNote(s.Verified)}
	if s.Reference != "" {
		out = append(out, "reference "+s.Reference)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Annotations)) {
		out = append(out, "annotation "+k+"="+s.Annotations[k])
	}
	c := s.Claims
	if c == nil {
		return append(out, "no claims")
	}
	out = append(out, fmt.Sprintf("signed %s as %s [%s], sequence %d", c.IssuedAt.Format(time.RFC3339), c.Repository, strings.Join(c.Tags, ", "), c.Sequence))
	if !c.ExpiresAt.IsZero() {
		out = append(out, "expires "+c.ExpiresAt.Format(time.RFC3339))
	}
	if c.Run != nil {
		out = append(out, fmt.Sprintf("by run %s of %s (%s)", c.Run.RunID, c.Run.WorkflowRef, c.Run.Event))
	}
	return out
}

// keyLine names a key, with its fingerprint unless the name has it already.
func keyLine(name, fingerprint string) string {
	switch {
	case name == "" && fingerprint == "":
		return "key not named"
	case strings.Contains(name, fingerprint):
		return "key " + name
	}
	return "key " + orUnknown(name) + " " + fingerprint
}

func verifiedNote(verified bool) string {
	if verified {
		return " (verified)"
	}
	return " (not verified)"
}

func manifestCount(n int) string {
	if n == 1 {
		return "this manifest"
	}
	return fmt.Sprintf("%d manifests", n)
}

// kindOf says what a referrer is, as far as the registry says it.
func kindOf(a registry.Attached) string {
	if a.PredicateType != "" {
		return ": " + a.PredicateType
	}
	if a.ArtifactType != "" {
		return ": " + a.ArtifactType
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
