package scan

import (
	"cmp"
	"slices"
	"strings"
)

// linesOf returns the lines "NAME: VALUE" that Trivy and Grype write into texts,
// for SARIF has no place for the package. The first of a name counts. In
// "Vulnerability ID" the id is the value.
func linesOf(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if id, ok := strings.CutPrefix(name, "Vulnerability "); ok {
			name, value = "Vulnerability", id
		}
		if slices.Contains([]string{"Vulnerability", "Package", "Installed Version", "Version", "Fixed Version", "Fix Version", "Severity"}, name) {
			out[name] = cmp.Or(out[name], value)
		}
	}
	return out
}

// read takes the package from the lines of a result and its rule. Names of packages
// are among them, so a line may be a stranger's: it can make the severity worse,
// which in the scanner's JSON is not always that of the score, and never better.
func (f *finding) read(result, rule map[string]string) {
	f.Package = cmp.Or(result["Package"], rule["Package"])
	f.Version = cmp.Or(result["Installed Version"], rule["Installed Version"], rule["Version"])
	f.Fixed = cmp.Or(result["Fixed Version"], rule["Fixed Version"], rule["Fix Version"])
	if id := rule["Vulnerability"]; strings.HasPrefix(f.ID, id+"-") {
		f.ID = id // Grype's rules are for a vulnerability and a package
	}
	word := cmp.Or(result["Severity"], rule["Severity"])
	f.Severity = severities[min(rank(f.Severity), rank(severity(word)))]
}
