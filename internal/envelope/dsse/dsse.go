// Package dsse is the DSSE envelope: a payload with its type and signatures over
// both. A Sigstore bundle holds one; by itself it is cosign's first form of an
// attestation, a layer of the manifest at the tag sha256-<hex>.att.
//
// The envelope and the bytes that are signed (PAE) are specified in
// https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, the tag in
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md. What is
// written and read here has an in-toto statement as its payload, exactly one
// signature, and no key id.
package dsse

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
)

// The names that the format fixes.
const (
	MediaType   = "application/vnd.dsse.envelope.v1+json"
	PayloadType = "application/vnd.in-toto+json"

	// PredicateTypeAnnotation is on the layer, and not signed.
	PredicateTypeAnnotation = "predicateType"

	// SignatureAnnotation is on the layer, and empty: cosign wants it there.
	SignatureAnnotation = "dev.cosignproject.cosign/signature"
)

// Envelope is a DSSE envelope as it is read.
type Envelope struct {
	Payload     Payload     `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an envelope.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// ToSign returns the bytes to sign for a statement: its pre-authentication
// encoding (DSSE protocol, section "Signature Definition").
func ToSign(statement []byte) []byte {
	return append(append(make([]byte, 0, room+len(statement)), header(PayloadType, len(statement))...), statement...)
}

func header(payloadType string, size int) string {
	return fmt.Sprintf("DSSEv1 %d %s %d ", len(payloadType), payloadType, size)
}

// Seal returns the layer that carries the statement of the given predicate type
// and the signature sig over ToSign(statement) by the key with the fingerprint.
func Seal(statement, sig []byte, predicateType, fingerprint string) (envelope.Attachment, error) {
	blob, err := json.Marshal(struct {
		Payload     []byte      `json:"payload"`
		PayloadType string      `json:"payloadType"`
		Signatures  []Signature `json:"signatures"`
	}{statement, PayloadType, []Signature{{Sig: sig}}})
	return envelope.Attachment{
		Format: envelope.DSSE, MediaType: MediaType, Blob: blob,
		Annotations: map[string]string{PredicateTypeAnnotation: predicateType, SignatureAnnotation: "", envelope.KeyHint: fingerprint},
	}, err
}

// Verify checks the envelope e of the candidate c with keys and returns the key
// and what it signed. The errors are refusals: "signature_malformed" when it has
// another payload type or not one signature, "signature_invalid" when it
// verifies with no key.
func (e *Envelope) Verify(c envelope.Candidate, keys []envelope.Key) (envelope.Verified, []byte, error) {
	if err := e.Check(c); err != nil {
		return envelope.Verified{}, nil, err
	}
	key, alg, err := envelope.VerifyBytes(keys, e.Payload.toSign(), e.Signatures[0].Sig)
	if err != nil {
		return envelope.Verified{}, nil, err
	}
	return envelope.Verified{Candidate: c, Key: key, Algorithm: alg}, e.Payload.Bytes(), nil
}

// Check refuses ("signature_malformed") an envelope with another payload type or
// not exactly one signature.
func (e *Envelope) Check(c envelope.Candidate) error {
	switch {
	case e.PayloadType != PayloadType:
		return envelope.Malformed(c, "its payload type is %q", e.PayloadType)
	case len(e.Signatures) != 1 || len(e.Signatures[0].Sig) == 0:
		return envelope.Malformed(c, "it has %d signatures, not one", len(e.Signatures))
	}
	return nil
}

// Verify checks the layer c with keys and returns what verified, and the
// statement that was signed. The errors are refusals: "signature_malformed" and
// "signature_invalid".
func Verify(c envelope.Candidate, keys []envelope.Key) (envelope.Verified, []byte, error) {
	e, err := parse(c)
	if err != nil {
		return envelope.Verified{}, nil, err
	}
	return e.Verify(c, envelope.HintFirst(keys, c.Hint))
}

// Unverified returns the statement in c without checking its signature, for
// showing what is attached to an image. It proves nothing.
func Unverified(c envelope.Candidate) ([]byte, error) {
	e, err := parse(c)
	if err != nil {
		return nil, err
	}
	return e.Payload.Bytes(), e.Check(c)
}

func parse(c envelope.Candidate) (*Envelope, error) {
	if c.MediaType != MediaType {
		return nil, envelope.Malformed(c, "its layer has the media type %q", c.MediaType)
	}
	e := new(Envelope)
	if err := envelope.Decode(c, e); err != nil {
		return nil, err
	}
	return e, nil
}
