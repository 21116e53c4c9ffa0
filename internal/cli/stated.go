package cli

import (
	"slices"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// stated is an attestation that has to be at a subject: in each format the digests
// of its envelopes, one for each key.
type stated struct {
	predicateType string
	envelopes     map[envelope.Format]map[string]bool
}

// written returns the formats that this run writes: those of signatures, and with
// documents those of attestations as well.
func (r *run) written() []envelope.Format {
	var out []envelope.Format
	for _, f := range r.Formats {
		if r.report.Command != "attest" {
			out = append(out, f)
		}
		if r.attests() && !slices.Contains(out, f.Attesting()) {
			out = append(out, f.Attesting())
		}
	}
	return out
}

// predicateTypes returns the types of what is to be attested.
func (r *run) predicateTypes() []string {
	var out []string
	for _, d := range r.documents {
		out = append(out, d.Type)
	}
	return out
}

// envelopeID names an attestation by what it is: two of one name are the same work.
func envelopeID(f envelope.Format, fingerprint, essence string) string {
	return string(f) + " " + fingerprint + " " + essence
}

// know notes an attestation about the subject that is there already.
func (p *plan) know(v envelope.Verified, s image.Subject) {
	if slices.Contains(v.Subjects, s.Digest) {
		p.known[envelopeID(v.Format, v.Key.Fingerprint, attest.Essence(v.PredicateType, v.Predicate))] = image.DigestOf(v.Blob)
	}
}

// attested is what the end of a run requires of a subject's attestations: in each
// format each key's, as this run made or found it.
func (r *run) attested(own []envelope.Key, p *plan) (out []policy.Attestation) {
	for _, s := range p.stated {
		for _, f := range r.Formats {
			if f = f.Attesting(); p.refused[f] != nil {
				continue // the bundle is there, and the user was told
			}
			out = append(out, policy.Attestation{Type: s.predicateType, Which: policy.Any, By: policy.Group{
				Name: storedCheck + string(f), Keys: own, Min: len(own), Formats: []envelope.Format{f}, Only: s.envelopes[f],
			}})
		}
	}
	return out
}
