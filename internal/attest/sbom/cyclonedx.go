package sbom

import (
	"fmt"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/attest"
)

// cycloneDX is what is checked of a CycloneDX document. Lists of what it says
// beyond its components are lists of objects, whatever is in them.
type cycloneDX struct {
	strict   bool // each component has a version: up to 1.3
	numbered bool // the document has a version: up to 1.5

	SerialNumber string `json:"serialNumber"`
	Version      *int64 `json:"version"`
	Metadata     struct {
		Timestamp string     `json:"timestamp"`
		Component *component `json:"component"`
	} `json:"metadata"`
	Components   []component `json:"components"`
	Services     []struct{}  `json:"services"`
	Dependencies []struct {
		Ref string `json:"ref"`
	} `json:"dependencies"`
	Compositions    []struct{} `json:"compositions"`
	Vulnerabilities []struct{} `json:"vulnerabilities"`
}

type component struct {
	Type    string  `json:"type"`
	Name    string  `json:"name"`
	Version *string `json:"version"`
	BOMRef  string  `json:"bom-ref"`
	PURL    string  `json:"purl"`
	Hashes  []struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	} `json:"hashes"`
	Properties []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"properties"`
	Components []component `json:"components"`
}

func (d *cycloneDX) created() string { return d.Metadata.Timestamp }

func (d *cycloneDX) problem() error {
	if d.numbered && d.Version == nil {
		return invalid("it has no version")
	}
	if t := d.Metadata.Timestamp; t != "" {
		if _, err := time.Parse(time.RFC3339, t); err != nil {
			return invalid("its timestamp %q is no date-time (RFC 3339)", t)
		}
	}
	if c := d.Metadata.Component; c != nil {
		if why := d.component(*c); why != "" {
			return invalid("metadata.component%s", why)
		}
	}
	for i, dep := range d.Dependencies {
		if dep.Ref == "" {
			return invalid("dependencies[%d] has no ref", i)
		}
	}
	if why := d.components(d.Components); why != "" {
		return invalid("components%s", why)
	}
	return nil
}

// components says where and why a component is not as it has to be, after the
// name of the list, and "" when all are. The place is put together on the way
// back, for components can be nested deeply.
func (d *cycloneDX) components(list []component) string {
	for i, c := range list {
		if why := d.component(c); why != "" {
			return fmt.Sprintf("[%d]%s", i, why)
		}
	}
	return ""
}

func (d *cycloneDX) component(c component) string {
	switch {
	case c.Type == "":
		return " has no type"
	case c.Name == "":
		return " has no name"
	case d.strict && c.Version == nil:
		return " has no version"
	}
	for i, h := range c.Hashes {
		if h.Algorithm == "" || h.Content == "" {
			return fmt.Sprintf(".hashes[%d] has no alg or no content", i)
		}
	}
	if why := d.components(c.Components); why != "" {
		return ".components" + why
	}
	return ""
}

// root adds what metadata.component says: Syft has the digest in its version
// when it was called with one, Trivy in the package URL, the bom-ref and a
// property. The hashes of anything but a container are no digests of an image.
func (d *cycloneDX) root(named *attest.Naming) {
	c := d.Metadata.Component
	if c == nil {
		return
	}
	named.Reference(c.Name)
	if c.Version != nil {
		named.Digest(*c.Version)
	}
	named.PackageURL(c.PURL)
	named.Digest(c.BOMRef)
	named.PackageURL(c.BOMRef)
	for _, h := range c.Hashes {
		if c.Type == "container" && h.Algorithm == "SHA-256" {
			named.Digest("sha256:" + strings.ToLower(h.Content))
		}
	}
	for _, p := range c.Properties {
		if p.Name == "aquasecurity:trivy:RepoDigest" || p.Name == "aquasecurity:trivy:RepoTag" {
			named.Reference(p.Value)
		}
	}
}
