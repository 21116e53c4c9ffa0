// Package attest makes and reads in-toto statements about images.
//
// A signature in a Sigstore bundle is a statement with the predicate type
// https://sigstore.dev/cosign/sign/v1 and the image as its only subject. The
// predicate holds our claims (docs/claims.md); the user's annotations stand in
// the subject, where cosign looks for them. Statements follow
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

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
	predicate, err := structOf(map[string]envelope.Claims{envelope.ClaimsKey: claims})
	if err != nil {
		return nil, err
	}
	rd := &in_toto.ResourceDescriptor{
		Name:   subject.Repository,
		Digest: map[string]string{"sha256": strings.TrimPrefix(subject.Digest, "sha256:")},
	}
	if len(annotations) > 0 {
		if rd.Annotations, err = structOf(annotations); err != nil {
			return nil, err
		}
	}
	s := &in_toto.Statement{
		Type: in_toto.StatementTypeUri, Subject: []*in_toto.ResourceDescriptor{rd},
		PredicateType: envelope.SignaturePredicate, Predicate: predicate,
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("making the statement for %s: %w", subject, err)
	}
	return marshal(s)
}

func structOf(v any) (*structpb.Struct, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	s := new(structpb.Struct)
	return s, protojson.Unmarshal(data, s)
}

// marshal returns compact JSON; protojson alone varies its spaces.
func marshal(s *in_toto.Statement) ([]byte, error) {
	data, err := protojson.Marshal(s)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, data)
	return compact.Bytes(), err
}

// Read parses a statement that has verified and adds what it says to v. It
// refuses ("signature_malformed") what is no statement, one without a
// subject with a SHA-256 digest, a signature with several subjects, and claims that cannot be read. A
// statement with another predicate type is returned as such, without claims and
// with its predicate.
func Read(v *envelope.Verified, statement []byte) error {
	var s in_toto.Statement
	var err error
	if err = (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(statement, &s); err != nil {
		return envelope.Malformed(v.Candidate, "its statement: %w", err)
	}
	if s.Type != in_toto.StatementTypeUri && s.Type != statementV01 {
		return envelope.Malformed(v.Candidate, "its statement has the type %q", s.Type)
	}
	if n := len(s.Subject); n != 1 && (n == 0 || s.PredicateType == envelope.SignaturePredicate) {
		return envelope.Malformed(v.Candidate, "its statement has %d subjects, not one", n)
	}
	v.PredicateType = s.PredicateType
	for _, subject := range s.Subject {
		digest := "sha256:" + subject.GetDigest()["sha256"]
		if image.CheckDigest(digest) == nil {
			v.SubjectDigest, v.Subjects = digest, append(v.Subjects, digest)
		}
	}
	if len(v.Subjects) == 0 {
		return envelope.Malformed(v.Candidate, "its statement has no SHA-256 digest of a subject")
	}
	v.Annotations = flatten(s.Subject[0].Annotations)
	if s.PredicateType != envelope.SignaturePredicate {
		v.Predicate, err = predicate(statement)
		return err
	}
	return readClaims(v, s.Predicate)
}

// predicate returns the predicate of a statement that has been parsed, with its
// numbers as they stand there: a float64 would round the large ones.
func predicate(statement []byte) (map[string]any, error) {
	var members map[string]json.RawMessage // its names are not folded, as those of a struct would be
	if err := json.Unmarshal(statement, &members); err != nil {
		return nil, err
	}
	var out map[string]any
	dec := json.NewDecoder(bytes.NewReader(members["predicate"]))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out, nil
}

func readClaims(v *envelope.Verified, predicate *structpb.Struct) error {
	value, ok := predicate.GetFields()[envelope.ClaimsKey]
	if !ok {
		return nil
	}
	data, err := protojson.Marshal(value)
	if err == nil {
		v.Claims, err = envelope.ParseClaims(data)
	}
	if err != nil {
		return envelope.Malformed(v.Candidate, "%w", err)
	}
	return nil
}

func flatten(s *structpb.Struct) map[string]string {
	out := map[string]string{}
	for k, v := range s.GetFields() {
		if text, ok := v.GetKind().(*structpb.Value_StringValue); ok {
			out[k] = text.StringValue
		} else if data, err := protojson.Marshal(v); err == nil {
			out[k] = string(data)
		}
	}
	return out
}
