package scan

import (
	"strings"
	"time"

	"github.com/signgate/signgate/internal/attest"
)

// predicate makes the predicate of a report. Its members are those of
// https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md
// and of https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md.
// What the report does not say is absent, also where the specification requires it.
type predicate struct {
	Scanner  scannerMember  `json:"scanner"`
	Metadata metadataMember `json:"metadata"`
}

type scannerMember struct {
	URI     string         `json:"uri,omitempty"`
	Version string         `json:"version,omitempty"`
	DB      databaseMember `json:"db,omitzero"`
	Result  any            `json:"result"`
}

type databaseMember struct {
	URI        string    `json:"uri,omitempty"`
	Version    string    `json:"version,omitempty"`
	LastUpdate time.Time `json:"lastUpdate,omitzero"` // only in-toto has it
}

type metadataMember struct {
	Started  time.Time `json:"scanStartedOn,omitzero"`
	Finished time.Time `json:"scanFinishedOn,omitzero"`
}

// counts is the result in cosign's form, which the specification leaves open.
type counts struct {
	Critical        int       `json:"critical"`
	High            int       `json:"high"`
	Medium          int       `json:"medium"`
	Low             int       `json:"low"`
	Negligible      int       `json:"negligible"`
	Unknown         int       `json:"unknown"`
	Total           int       `json:"total"`
	Vulnerabilities []finding `json:"vulnerabilities"`
}

// vulnerability is one of the results in in-toto's form.
type vulnerability struct {
	ID          string         `json:"id"`
	Severity    []score        `json:"severity"`
	Annotations []packageNotes `json:"annotations,omitempty"`
}

type score struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

type packageNotes struct {
	Package  string `json:"package,omitempty"`
	Version  string `json:"version,omitempty"`
	Fixed    string `json:"fixedVersion,omitempty"`
	Location string `json:"location,omitempty"`
}

func (r *report) predicate(form Form) (attest.Predicate, error) {
	for i, f := range r.findings {
		if f.ID == "" {
			return attest.Predicate{}, invalid("its finding %d has no id", i+1)
		}
	}
	r.findings = once(r.findings)
	s := r.scanner
	p := predicate{
		Scanner:  scannerMember{URI: s.uri, Version: s.version, DB: databaseMember{URI: s.db.uri, Version: s.db.version}},
		Metadata: metadataMember{r.started.UTC(), r.finished.UTC()},
	}
	kind := attest.CosignVuln
	if form == InToto {
		kind, p.Scanner.Result, p.Scanner.DB.LastUpdate = attest.Vulns, r.list(), s.db.updated.UTC()
	} else {
		p.Scanner.Result = r.counts()
	}
	body, err := attest.Of(p)
	if err != nil {
		return attest.Predicate{}, err
	}
	return attest.Predicate{Type: kind, Body: body, Digests: r.named.Digests, Names: r.named.Names, Notes: append(r.notes, r.silence(form)...)}, nil
}

func (r *report) counts() counts {
	c := counts{Total: len(r.findings), Vulnerabilities: r.findings}
	of := map[string]*int{"critical": &c.Critical, "high": &c.High, "medium": &c.Medium, "low": &c.Low, "negligible": &c.Negligible, "unknown": &c.Unknown}
	for _, f := range r.findings {
		*of[f.Severity]++
	}
	return c
}

func (r *report) list() []vulnerability {
	out := []vulnerability{}
	for _, f := range r.findings {
		method := f.source
		if method == "" {
			method = r.scanner.name
		}
		v := vulnerability{ID: f.ID, Severity: []score{{method, f.Severity}}}
		if n := (packageNotes{f.Package, f.Version, f.Fixed, f.Location}); n != (packageNotes{}) {
			v.Annotations = []packageNotes{n}
		}
		out = append(out, v)
	}
	return out
}

// silence says what a reader of the predicate will miss.
func (r *report) silence(form Form) (out []string) {
	if r.finished.IsZero() {
		out = append(out, "the report does not say when the scan finished, so a policy with maxAge will not count it")
	}
	if len(r.named.Digests) == 0 {
		out = append(out, "the report names no image by its digest, so nothing but its signer says which image was scanned")
	}
	var missing []string
	if form == InToto && r.scanner.db.updated.IsZero() {
		missing = append(missing, "scanner.db.lastUpdate")
	}
	if form == InToto && r.started.IsZero() {
		missing = append(missing, "metadata.scanStartedOn")
	}
	if len(missing) > 0 {
		out = append(out, "in-toto's predicate asks for "+strings.Join(missing, " and ")+", which the report does not have")
	}
	return out
}
