// Package attest makes and reads in-toto statements about images.
//
// A signature in a Sigstore bundle is a statement with the predicate type
// https://sigstore.dev/cosign/sign/v1 and the image as its only subject. The
// predicate holds our claims (docs/claims.md); the user's annotations stand in
// the subject, where cosign looks for them. An attestation is a statement of
// another type about one or several manifests; the packages below this one make
// its predicate. Statements follow
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
package attest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	in_toto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
)

// statementV01 is what older writers put for in_toto.StatementTypeUri.
const statementV01 = "https://in-toto.io/Statement/v0.1"

// Signature returns the statement that signs subject with the claims and
// annotations, as JSON.
func Signature(subject image.Subject, claims envelope.Claims, annotations map[string]string) ([]byte, error) {
	predicate, err := Of(map[string]envelope.Claims{envelope.ClaimsKey: claims})
	if err != nil {
		return nil, err
	}
	rd := resource(subject)
	if len(annotations) > 0 {
		values := map[string]any{}
		for name, value := range annotations {
			values[name] = value
		}
		if rd.Annotations, err = structpb.NewStruct(values); err != nil {
			return nil, err
		}
	}
	return write(envelope.SignaturePredicate, predicate, rd)
}

// Statement returns the statement that the predicate is true of all subjects, as
// JSON. A subject that is given several times is in it once.
func Statement(p Predicate, subjects ...image.Subject) ([]byte, error) {
	var list []*in_toto.ResourceDescriptor
	seen := map[string]bool{}
	for _, s := range subjects {
		if !seen[s.String()] {
			seen[s.String()] = true
			list = append(list, resource(s))
		}
	}
	return write(p.Type, p.Body, list...)
}

func resource(s image.Subject) *in_toto.ResourceDescriptor {
	return &in_toto.ResourceDescriptor{Name: s.Repository, Digest: map[string]string{"sha256": strings.TrimPrefix(s.Digest, "sha256:")}}
}

// write returns a statement as compact JSON, the predicate as it is.
func write(predicateType string, predicate jsontext.Value, subjects ...*in_toto.ResourceDescriptor) ([]byte, error) {
	check := &in_toto.Statement{Type: in_toto.StatementTypeUri, Subject: subjects, PredicateType: predicateType, Predicate: &structpb.Struct{}}
	if err := check.Validate(); err != nil {
		return nil, fmt.Errorf("making a statement of the type %s: %w", predicateType, err)
	}
	list := make([]jsontext.Value, len(subjects))
	for i, s := range subjects {
		text, err := protojson.Marshal(s)
		if err != nil {
			return nil, err
		}
		list[i] = text
	}
	return json.Marshal(struct {
		Type          string           `json:"_type"`
		Subject       []jsontext.Value `json:"subject"`
		PredicateType string           `json:"predicateType"`
		Predicate     jsontext.Value   `json:"predicate"`
	}{in_toto.StatementTypeUri, list, predicateType, predicate})
}

// statement is an in-toto statement as it is read.
type statement struct {
	Type          string         `json:"_type"`
	Subject       jsontext.Value `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     jsontext.Value `json:"predicate"`
}

// descriptor is the part of in-toto's ResourceDescriptor that says which
// manifest a statement is about.
type descriptor struct {
	Name        string                    `json:"name"`
	Digest      map[string]string         `json:"digest"`
	Annotations map[string]jsontext.Value `json:"annotations"`
}

// subjects reads the subjects, unless there are too many values in them: the
// statement may be a stranger's.
func (s statement) subjects() (out []descriptor, err error) {
	if len(s.Subject) == 0 {
		return nil, nil
	}
	if image.Crowded(s.Subject) {
		return nil, errors.New("they have more values than are read")
	}
	return out, json.Unmarshal(s.Subject, &out)
}

// Read parses a statement that has verified and adds what it says to v. It
// refuses ("signature_malformed") what is no statement, one without a
// subject with a SHA-256 digest, a signature with several subjects, and claims
// that cannot be read. A statement with another predicate type is returned as
// such, without claims and with its predicate.
func Read(v *envelope.Verified, text []byte) error {
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		return envelope.Malformed(v.Candidate, "its statement: %w", err)
	}
	if s.Type != in_toto.StatementTypeUri && s.Type != statementV01 {
		return envelope.Malformed(v.Candidate, "its statement has the type %q", s.Type)
	}
	subjects, err := s.subjects()
	if err != nil {
		return envelope.Malformed(v.Candidate, "its subjects: %w", err)
	}
	if n := len(subjects); n != 1 && (n == 0 || s.PredicateType == envelope.SignaturePredicate) {
		return envelope.Malformed(v.Candidate, "its statement has %d subjects, not one", n)
	}
	v.PredicateType = s.PredicateType
	for _, subject := range subjects {
		digest := "sha256:" + subject.Digest["sha256"]
		if image.CheckDigest(digest) == nil {
			v.SubjectDigest, v.Subjects = digest, append(v.Subjects, digest)
		}
	}
	if len(v.Subjects) == 0 {
		return envelope.Malformed(v.Candidate, "its statement has no SHA-256 digest of a subject")
	}
	if kind := s.Predicate.Kind(); len(s.Predicate) > 0 && kind != '{' && kind != 'n' {
		return envelope.Malformed(v.Candidate, "its predicate is %s, not an object", kindName(kind))
	}
	v.Annotations = flatten(subjects[0].Annotations)
	if s.PredicateType != envelope.SignaturePredicate {
		v.Predicate = s.Predicate
		return nil
	}
	return readClaims(v, s.Predicate)
}

func readClaims(v *envelope.Verified, predicate jsontext.Value) error {
	var members map[string]jsontext.Value
	if len(predicate) > 0 {
		if err := json.Unmarshal(predicate, &members); err != nil {
			return envelope.Malformed(v.Candidate, "its predicate: %w", err)
		}
	}
	claims, ok := members[envelope.ClaimsKey]
	if !ok {
		return nil
	}
	var err error
	if v.Claims, err = envelope.ParseClaims(claims); err != nil {
		return envelope.Malformed(v.Candidate, "%w", err)
	}
	return nil
}

// flatten returns strings as such, and other values as their JSON.
func flatten(annotations map[string]jsontext.Value) map[string]string {
	out := map[string]string{}
	for name, value := range annotations {
		var text string
		if value.Kind() != '"' || json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		out[name] = text
	}
	return out
}
