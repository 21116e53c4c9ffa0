package report

import "github.com/signgate/signgate/internal/envelope"

// Finding is one check of the gate.
type Finding struct {
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Check   string `json:"check"`
	Tag     string `json:"tag,omitempty"`
	Fact    string `json:"fact"`
	Next    string `json:"next,omitempty"`
	Rule    string `json:"rule,omitempty"` // the name of the rule that asks for it; "" for a step of the run
}

// Signature is a signature that verified and counted.
type Signature struct {
	Format      envelope.Format   `json:"format"`
	Store       string            `json:"store"`
	Manifest    string            `json:"manifest"`
	Key         string            `json:"key"`
	Fingerprint string            `json:"fingerprint"`
	Algorithm   string            `json:"algorithm"`
	Reference   string            `json:"reference,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Claims      *envelope.Claims  `json:"claims,omitempty"`
}

// Attestation is an attestation that verified and met a requirement of the rule,
// or was written by this run.
type Attestation struct {
	Type        string          `json:"type"` // of its predicate
	Format      envelope.Format `json:"format"`
	Store       string          `json:"store"`
	Manifest    string          `json:"manifest"`
	Key         string          `json:"key"`
	Fingerprint string          `json:"fingerprint"`
	Algorithm   string          `json:"algorithm"`
	Subjects    []string        `json:"subjects"` // the digests of all manifests that it is about
}

// Ignored is an entry that did not count.
type Ignored struct {
	Code     string          `json:"code"`
	Format   envelope.Format `json:"format,omitempty"`
	Store    string          `json:"store,omitempty"`
	Manifest string          `json:"manifest,omitempty"`
	Why      string          `json:"why"`
}

// Describe returns the report's form of a verified signature.
func Describe(v envelope.Verified) Signature {
	return Signature{
		Format: v.Format, Store: v.Store, Manifest: v.Manifest, Key: v.Key.Name, Fingerprint: v.Key.Fingerprint,
		Algorithm: string(v.Algorithm), Reference: v.Reference, Annotations: v.Annotations, Claims: v.Claims,
	}
}

// DescribeAttestation returns the report's form of a verified attestation.
func DescribeAttestation(v envelope.Verified) Attestation {
	return Attestation{
		Type: v.PredicateType, Format: v.Format, Store: v.Store, Manifest: v.Manifest, Key: v.Key.Name,
		Fingerprint: v.Key.Fingerprint, Algorithm: string(v.Algorithm), Subjects: v.Subjects,
	}
}
