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
// operating system that Trivy does not know, its report has no result for the
// packages of the system, and it succeeds. That of an image without one is the same,
// so it is refused only when there is no other package either, or when Trivy names
// the system: then it has no data of it, or was not to look (--pkg-types library).
func (t trivyReport) problem() error {
	switch {
	case t.SchemaVersion != 2:
		return invalid("its SchemaVersion is %d, and Trivy's is 2", t.SchemaVersion)
	case t.ArtifactName == "" || t.ArtifactType == "":
		return invalid("it has a SchemaVersion, but not the ArtifactName and ArtifactType of Trivy")
	case t.ArtifactType == trivyImage && t.named() && !slices.ContainsFunc(t.Results, trivyResult.ofSystem):
		return failed("Trivy names the operating system of the image, %q, and has no result for its packages, so it has no data of them or was not to look at them (--pkg-types)", t.Metadata.OS.Family)
	case !slices.ContainsFunc(t.Results, trivyResult.ofPackages):
		return failed("Trivy has no result for packages, so it recognised none or did not look for them (--scanners vuln)")
	}
	return nil
}

// named reports whether Trivy names a system that has packages of its own.
func (t trivyReport) named() bool {
	return !slices.Contains([]string{"", "none", "activestate"}, t.Metadata.OS.Family)
}

// ofSystem reports whether a result is of the packages of an operating system.
func (r trivyResult) ofSystem() bool { return r.Class == "os-pkgs" && r.Type != "none" }

func (r trivyResult) ofPackages() bool {
	return r.ofSystem() || r.Class == "lang-pkgs" || len(r.Vulnerabilities) > 0
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
	switch {
	case t.ArtifactType != trivyImage:
		out = append(out, noImage("Trivy", t.ArtifactType))
	case !slices.ContainsFunc(t.Results, trivyResult.ofSystem):
		out = append(out, trivyNoSystem)
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

const trivyImage = "container_image"

const trivyNoSystem = "no packages of an operating system were looked at: Trivy knows none in this image, which is right only for an image that has none"

const trivyFoundNothing = "Trivy's report has no vulnerabilities, and does not say whether it looked for any (--scanners vuln)"

// noImage says that a scanner has looked at something else.
func noImage(scanner, kind string) string {
	return fmt.Sprintf("it is no scan of an image: %s calls what it scanned %q", scanner, kind)
}

// suppressed says that findings do not count because the scanner was told so.
func suppressed(n int) string {
	return fmt.Sprintf("findings that the report has as ignored or suppressed, and that do not count: %d", n)
}
