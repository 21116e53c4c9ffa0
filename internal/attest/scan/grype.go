package scan

import (
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/attest"
)

// grypeReport is what is read of Grype's JSON
// (https://github.com/anchore/grype/blob/main/grype/presenter/models/document.go).
type grypeReport struct {
	Matches []grypeMatch `json:"matches"`
	Ignored []struct{}   `json:"ignoredMatches"`
	Source  struct {
		Type   string         `json:"type"`
		Target jsontext.Value `json:"target"` // an object for an image, a path for a folder
	} `json:"source"`
	Descriptor struct {
		Name      string  `json:"name"`
		Version   string  `json:"version"`
		Timestamp string  `json:"timestamp"`
		DB        grypeDB `json:"db"`
	} `json:"descriptor"`
}

type grypeMatch struct {
	Vulnerability struct {
		ID       string `json:"id"`
		Severity string `json:"severity"`
		Fix      struct {
			Versions []string `json:"versions"`
		} `json:"fix"`
	} `json:"vulnerability"`
	Artifact struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifact"`
}

// grypeDB says which database was used: in a member status since its version 6.
type grypeDB struct {
	grypeStatus
	Status *grypeStatus `json:"status"`
}

type grypeStatus struct {
	Schema jsontext.Value `json:"schemaVersion"` // a number up to version 5
	From   string         `json:"from"`
	Built  string         `json:"built"`
	Valid  *bool          `json:"valid"`
	Error  string         `json:"error"`
}

type grypeImage struct {
	UserInput      string   `json:"userInput"`
	ManifestDigest string   `json:"manifestDigest"`
	Tags           []string `json:"tags"`
	RepoDigests    []string `json:"repoDigests"`
}

// grype reads the JSON of Grype. Its imageID is that of the configuration, and no
// digest of the image.
func grype(text []byte) (*report, error) {
	var g grypeReport
	if err := attest.Parse(text, &g); err != nil {
		return nil, invalid("%w", err)
	}
	d := g.Descriptor
	switch {
	case d.Name != "grype":
		return nil, invalid("it has matches, and its descriptor names %q and not grype", d.Name)
	case g.Matches == nil:
		return nil, invalid("its matches are null; Grype has an empty list when nothing was found")
	}
	status := d.DB.grypeStatus
	if d.DB.Status != nil {
		status = *d.DB.Status
	}
	if status.Error != "" {
		return nil, failed("the database had an error: %q", status.Error)
	}
	if status.Valid != nil && !*status.Valid {
		return nil, failed("the database was not valid")
	}
	r := &report{scanner: github("anchore", "grype", d.Version), finished: at(d.Timestamp)}
	r.scanner.db = status.database()
	for _, m := range g.Matches {
		r.findings = append(r.findings, m.finding())
	}
	if len(g.Ignored) > 0 {
		r.notes = append(r.notes, suppressed(len(g.Ignored)))
	}
	if g.Source.Type != "image" {
		r.notes = append(r.notes, noImage("Grype", g.Source.Type))
	}
	return r, g.names(r)
}

func (m grypeMatch) finding() finding {
	f := finding{ID: m.Vulnerability.ID, Severity: severity(m.Vulnerability.Severity), Package: m.Artifact.Name, Version: m.Artifact.Version, Fixed: strings.Join(m.Vulnerability.Fix.Versions, ", ")}
	if len(m.Artifact.Locations) > 0 {
		f.Location = m.Artifact.Locations[0].Path
	}
	return f
}

func (s grypeStatus) database() database {
	db := database{version: strings.Trim(string(s.Schema), `"`), updated: at(s.Built)}
	if u, err := url.Parse(s.From); err == nil && u.IsAbs() {
		db.uri = s.From
	}
	return db
}

// names adds what the report says it scanned.
func (g *grypeReport) names(r *report) error {
	switch g.Source.Target.Kind() {
	case '"':
		var name string
		if err := attest.Parse(g.Source.Target, &name); err != nil {
			return invalid("%w", err)
		}
		r.named.Reference(name)
	case '{':
		var image grypeImage
		if err := attest.Parse(g.Source.Target, &image); err != nil {
			return invalid("its source: %w", err)
		}
		r.named.Reference(image.UserInput)
		r.named.Digest(image.ManifestDigest)
		for _, ref := range append(image.Tags, image.RepoDigests...) {
			r.named.Reference(ref)
		}
	}
	return nil
}
