package scan

import (
	"fmt"
	"slices"

	"github.com/signgate/signgate/internal/attest"
)

// trivyReport is what is read of Trivy's JSON
// (https://github.com/aquasecurity/trivy/blob/main/pkg/types/report.go). Lists
// that are empty are absent there.
type trivyReport struct {
	SchemaVersion int `json:"SchemaVersion"`
	Trivy         struct {
		Version string `json:"Version"`
	} `json:"Trivy"`
	CreatedAt    string `json:"CreatedAt"`
	ArtifactName string `json:"ArtifactName"`
	ArtifactType string `json:"ArtifactType"`
	Metadata     struct {
		OS struct {
			Family  string `json:"Family"`
			Name    string `json:"Name"`
			Expired bool   `json:"EOSL"`
		} `json:"OS"`
		RepoTags    []string `json:"RepoTags"`
		RepoDigests []string `json:"RepoDigests"`
	} `json:"Metadata"`
	Results []trivyResult `json:"Results"`
}

type trivyResult struct {
	Target          string `json:"Target"`
	Class           string `json:"Class"`
	Type            string `json:"Type"`
	Vulnerabilities []struct {
		ID        string `json:"VulnerabilityID"`
		Package   string `json:"PkgName"`
		Path      string `json:"PkgPath"`
		Installed string `json:"InstalledVersion"`
		Fixed     string `json:"FixedVersion"`
		Severity  string `json:"Severity"`
		Source    string `json:"SeveritySource"`
	} `json:"Vulnerabilities"`
	Misconfigurations []struct{} `json:"Misconfigurations"`
	Secrets           []struct{} `json:"Secrets"`
	Modified          []struct{} `json:"ExperimentalModifiedFindings"`
}

// trivy reads the JSON of Trivy. Its image id is that of the configuration, and no
// digest of the image.
func trivy(text []byte) (*report, error) {
	var t trivyReport
	if err := attest.Parse(text, &t); err != nil {
		return nil, invalid("%w", err)
	}
	if err := t.problem(); err != nil {
		return nil, err
	}
	r := &report{scanner: github("aquasecurity", "trivy", t.Trivy.Version), finished: at(t.CreatedAt)}
	r.named.Reference(t.ArtifactName)
	for _, ref := range slices.Concat(t.Metadata.RepoTags, t.Metadata.RepoDigests) {
		r.named.Reference(ref)
	}
	for _, result := range t.Results {
		r.findings = append(r.findings, result.findings()...)
	}
	r.notes = t.notes()
	return r, nil
}

func (t trivyResult) findings() (out []finding) {
	for _, v := range t.Vulnerabilities {
		f := finding{ID: v.ID, Severity: severity(v.Severity), Package: v.Package, Version: v.Installed, Fixed: v.Fixed, Location: v.Path, source: v.Source}
		if f.Location == "" {
			f.Location = t.Target
		}
		out = append(out, f)
	}
	return out
}

// problem says why the report tells nothing of packages. Of an image with an
// operating system that Trivy does not know, its report has no results at all, and
// it succeeds.
func (t trivyReport) problem() error {
	switch {
	case t.SchemaVersion != 2:
		return invalid("its SchemaVersion is %d, and Trivy's is 2", t.SchemaVersion)
	case t.ArtifactName == "" || t.ArtifactType == "":
		return invalid("it has a SchemaVersion, but not the ArtifactName and ArtifactType of Trivy")
	case !slices.ContainsFunc(t.Results, trivyResult.ofPackages):
		return failed("Trivy has no result for packages, so it recognised none or did not look for them (--scanners vuln)")
	}
	return nil
}

func (r trivyResult) ofPackages() bool {
	return r.Class == "os-pkgs" && r.Type != "none" || r.Class == "lang-pkgs" || len(r.Vulnerabilities) > 0
}

func (t trivyReport) notes() (out []string) {
	found, others, modified := 0, 0, 0
	for _, r := range t.Results {
		found += len(r.Vulnerabilities)
		others += len(r.Misconfigurations) + len(r.Secrets)
		modified += len(r.Modified)
	}
	if found == 0 {
		out = append(out, trivyFoundNothing)
	}
	if os := t.Metadata.OS; os.Expired {
		out = append(out, fmt.Sprintf("Trivy says that %q %q is past its end of support, so its database may lack what was found since", os.Family, os.Name))
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("misconfigurations and secrets in the report, which are no vulnerabilities and not in the predicate: %d", others))
	}
	if modified > 0 {
		out = append(out, suppressed(modified))
	}
	return out
}

const trivyFoundNothing = "Trivy's report has no vulnerabilities, and does not say whether it looked for any (--scanners vuln)"

// suppressed says that findings do not count because the scanner was told so.
func suppressed(n int) string {
	return fmt.Sprintf("findings that the report has as ignored or suppressed, and that do not count: %d", n)
}
