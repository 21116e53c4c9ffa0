package sbom

import (
	"strings"
	"time"

	"github.com/signgate/signgate/internal/attest"
)

const spdxDocument = "SPDXRef-DOCUMENT"

// spdx is what is checked of an SPDX document.
type spdx struct {
	SPDXID            string `json:"SPDXID"`
	Name              string `json:"name"`
	DataLicense       string `json:"dataLicense"`
	DocumentNamespace string `json:"documentNamespace"`
	CreationInfo      struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	} `json:"creationInfo"`
	Describes []string      `json:"documentDescribes"`
	Packages  []spdxPackage `json:"packages"`
	Files     []struct {
		SPDXID   string `json:"SPDXID"`
		FileName string `json:"fileName"`
	} `json:"files"`
	Relationships []relationship `json:"relationships"`
}

type spdxPackage struct {
	SPDXID           string `json:"SPDXID"`
	Name             string `json:"name"`
	DownloadLocation string `json:"downloadLocation"`
	VersionInfo      string `json:"versionInfo"`
	Purpose          string `json:"primaryPackagePurpose"`
	Checksums        []struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	} `json:"checksums"`
	ExternalRefs []struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	} `json:"externalRefs"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

func (d *spdx) created() string { return d.CreationInfo.Created }

func (d *spdx) problem() error {
	for _, member := range [][2]string{
		{"name", d.Name}, {"dataLicense", d.DataLicense}, {"documentNamespace", d.DocumentNamespace}, {"creationInfo.created", d.created()},
	} {
		if member[1] == "" {
			return invalid("it has no %s", member[0])
		}
	}
	if d.SPDXID != spdxDocument {
		return invalid("its SPDXID is %q and not %s", d.SPDXID, spdxDocument)
	}
	if len(d.CreationInfo.Creators) == 0 {
		return invalid("its creationInfo has no creators")
	}
	if _, err := time.Parse(time.RFC3339, d.created()); err != nil {
		return invalid("its creationInfo.created %q is no date-time (RFC 3339)", d.created())
	}
	for i, r := range d.Relationships {
		if r.Element == "" || r.Type == "" || r.Related == "" {
			return invalid("relationships[%d] has no spdxElementId, relationshipType or relatedSpdxElement", i)
		}
	}
	return d.elements()
}

// elements checks the packages and files, and that those which the document
// describes are there.
func (d *spdx) elements() error {
	known := map[string]bool{spdxDocument: true}
	for i, p := range d.Packages {
		if p.SPDXID == "" || p.Name == "" || p.DownloadLocation == "" {
			return invalid("packages[%d] has no SPDXID, name or downloadLocation", i)
		}
		if known[p.SPDXID] {
			return invalid("it has two elements with the SPDXID %q", p.SPDXID)
		}
		known[p.SPDXID] = true
	}
	for i, f := range d.Files {
		if f.SPDXID == "" || f.FileName == "" {
			return invalid("files[%d] has no SPDXID or fileName", i)
		}
		known[f.SPDXID] = true
	}
	described := d.described()
	for id := range described {
		if !known[id] && !strings.HasPrefix(id, "DocumentRef-") && id != "NONE" && id != "NOASSERTION" {
			return invalid("it describes %q, which it does not have", id)
		}
	}
	if len(described) == 0 && len(d.Packages) > 1 {
		return invalid("it has %d packages and does not say which of them it describes", len(d.Packages))
	}
	return nil
}

// described returns the ids of what the document describes. That of the only
// package needs no saying (SPDX 2.3, clause 11.1, DESCRIBES).
func (d *spdx) described() map[string]bool {
	out := map[string]bool{}
	for _, id := range d.Describes {
		out[id] = true
	}
	for _, r := range d.Relationships {
		switch {
		case r.Type == "DESCRIBES" && r.Element == spdxDocument:
			out[r.Related] = true
		case r.Type == "DESCRIBED_BY" && r.Related == spdxDocument:
			out[r.Element] = true
		}
	}
	if len(out) == 0 && len(d.Packages) == 1 {
		out[d.Packages[0].SPDXID] = true
	}
	return out
}

func (d *spdx) root(named *attest.Naming) {
	described := d.described()
	for _, p := range d.Packages {
		if described[p.SPDXID] {
			p.root(named)
		}
	}
}

// root adds what a described package says: Syft has the digest in its checksum
// and package URL, Trivy in the package URL. The checksum of what calls itself
// something else than a container is no digest of an image.
func (p spdxPackage) root(named *attest.Naming) {
	named.Reference(p.Name)
	named.Digest(p.VersionInfo)
	for _, c := range p.Checksums {
		if c.Algorithm == "SHA256" && (p.Purpose == "CONTAINER" || p.Purpose == "") {
			named.Digest("sha256:" + strings.ToLower(c.Value))
		}
	}
	for _, r := range p.ExternalRefs {
		if r.Type == "purl" {
			named.PackageURL(r.Locator)
		}
	}
}
