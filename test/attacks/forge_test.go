package attacks

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// The names that the two formats fix.
const (
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleType    = "application/vnd.dev.cosign.simplesigning.v1+json"
	statementType = "application/vnd.in-toto+json"
	signatureType = "https://sigstore.dev/cosign/sign/v1"
	claimsKey     = "dev.signgate.claims"
)

// said returns the claims of an attachment, and nil for none.
func (s *scene) said(a attachment) map[string]any {
	if a.Claims.None {
		return nil
	}
	repo, tag := split(a.To)
	key := or(a.Claims.Key, a.Key)
	c := map[string]any{
		"version": 1, "repository": s.Host + "/" + repo, "tags": []string{tag}, "sequence": 1,
		"issuedAt": time.Now().Add(a.Claims.IssuedAt).UTC().Format(time.RFC3339),
		"key":      map[string]any{"id": key, "fingerprint": fingerprint(s.t, key)},
	}
	if a.Claims.Version != 0 {
		c["version"] = a.Claims.Version
	}
	if a.Claims.Critical != nil {
		c["critical"] = a.Claims.Critical
	}
	if a.Claims.Repository != nil {
		c["repository"] = s.expand(*a.Claims.Repository)
	}
	if a.Claims.Tags != nil {
		c["tags"] = a.Claims.Tags
	}
	if a.Claims.ExpiresAt != 0 {
		c["expiresAt"] = time.Now().Add(a.Claims.ExpiresAt).UTC().Format(time.RFC3339)
	}
	if a.Claims.Sequence != nil {
		c["sequence"] = *a.Claims.Sequence
	}
	return c
}

// statement returns the in-toto statement to sign.
func (s *scene) statement(a attachment) []byte {
	if a.Statement != "" {
		return []byte(s.expand(a.Statement))
	}
	subject := map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(s.digest(a.About), "sha256:")}}
	if a.Annotations != nil {
		subject["annotations"] = a.Annotations
	}
	kind, body := signatureType, any(map[string]any{})
	if c := s.said(a); c != nil {
		body = map[string]any{claimsKey: c}
	}
	if a.Predicate != nil {
		kind, body = a.Predicate.Type, json.RawMessage(s.expand(a.Predicate.JSON))
	}
	return s.json(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "subject": []any{subject}, "predicateType": kind, "predicate": body,
	})
}

// payload returns the simple signing payload to sign.
func (s *scene) payload(a attachment) []byte {
	if a.Payload != "" {
		return []byte(s.expand(a.Payload))
	}
	optional := map[string]any{}
	for k, v := range a.Annotations {
		optional[k] = v
	}
	if c := s.said(a); c != nil {
		optional[claimsKey] = c
	}
	return s.json(map[string]any{"optional": optional, "critical": map[string]any{
		"identity": map[string]string{"docker-reference": s.expand(or(a.Reference, "${REG}/"+a.To))},
		"image":    map[string]string{"docker-manifest-digest": s.digest(a.About)},
		"type":     "cosign container image signature",
	}})
}

// bundle returns the bundle of a statement.
func (s *scene) bundle(a attachment, statement, sig []byte) []byte {
	sum, _ := hex.DecodeString(strings.TrimPrefix(fingerprint(s.t, or(a.Hint, a.Key)), "sha256:"))
	text := or(a.Bundle, `{"mediaType":"`+bundleType+`","verificationMaterial":{"publicKey":{"hint":"${HINT}"}},`+
		`"dsseEnvelope":{"payload":"${PAYLOAD}","payloadType":"`+statementType+`","signatures":[{"sig":"${SIGNATURE}"}]}}`)
	return []byte(strings.NewReplacer(
		"${PAYLOAD}", base64.StdEncoding.EncodeToString(statement),
		"${SIGNATURE}", base64.StdEncoding.EncodeToString(sig),
		"${HINT}", base64.StdEncoding.EncodeToString(sum),
		"${KEY}", base64.StdEncoding.EncodeToString(pkix(s.t, or(a.Key, "stranger"))),
	).Replace(text))
}

// encoded is what DSSE signs in place of a payload: its pre-authentication
// encoding.
func encoded(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(statementType), statementType, len(payload), payload)
}

// sign signs the message as the attachment asks.
func (s *scene) sign(a attachment, message []byte) []byte {
	sum := sha256.Sum256(message)
	sig, err := keyOf(s.t, a.Key).Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		s.t.Fatal(err)
	}
	switch a.Twist {
	case "malleate":
		return malleate(s.t, sig)
	case "flip":
		sig[len(sig)-1] ^= 1
	}
	return sig
}

// malleate returns the other ECDSA signature over the same message: s → n − s.
func malleate(t *testing.T, sig []byte) []byte {
	t.Helper()
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	out, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *scene) json(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
