package scan

import (
	"cmp"
	"slices"
	"strings"
)

// severities are those that are counted, from the most severe on.
var severities = []string{"critical", "high", "medium", "low", "negligible", "unknown"}

// finding is one vulnerability of one version of one package.
type finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Package  string `json:"package,omitempty"`
	Version  string `json:"version,omitempty"`
	Fixed    string `json:"fixedVersion,omitempty"`
	Location string `json:"location,omitempty"`

	source string // who gave the severity, "" for the scanner
}

// severity returns a scanner's word for a severity as one of severities.
func severity(word string) string {
	if s := strings.ToLower(word); slices.Contains(severities, s) {
		return s
	}
	return "unknown"
}

// rank returns the place of a severity, 0 for the worst.
func rank(severity string) int { return slices.Index(severities, severity) }

// once sorts the findings and leaves each out that is there already: the same
// vulnerability of the same version of a package, wherever it lies. Of several
// severities the worst stays. A finding without a package is told apart by its
// place.
func once(all []finding) []finding {
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version), cmp.Compare(a.place(), b.place()),
			cmp.Compare(rank(a.Severity), rank(b.Severity)),
			cmp.Compare(a.Location, b.Location), cmp.Compare(a.Fixed, b.Fixed), cmp.Compare(a.source, b.source))
	})
	return slices.CompactFunc(all, func(a, b finding) bool {
		return a.ID == b.ID && a.Package == b.Package && a.Version == b.Version && a.place() == b.place()
	})
}

func (f finding) place() string {
	if f.Package != "" {
		return ""
	}
	return f.Location
}
