package storm

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
)

// envelope is a signature as it was found: what was signed, and by which bytes.
type envelope struct {
	digest  string // of the manifest or layer
	signed  []byte // the bytes that the signature covers
	sig     []byte
	subject string // what the signed bytes say
}

func (e envelope) String() string { return e.digest + " for " + e.subject }

// by reports whether the key signed the digest in it.
func (e envelope) by(k key, digest string) bool {
	sum := sha256.Sum256(e.signed)
	return e.subject == digest && ecdsa.VerifyASN1(k.verify, sum[:], e.sig)
}

// readLayer reads a simple signing payload and its annotation.
func readLayer(t *testing.T, digest string, blob []byte, annotations map[string]string) envelope {
	t.Helper()
	var p struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			}
		}
	}
	sig, err := base64.StdEncoding.DecodeString(annotations["dev.cosignproject.cosign/signature"])
	if err == nil {
		err = json.Unmarshal(blob, &p)
	}
	if err != nil {
		t.Fatalf("the layer %s: %v", digest, err)
	}
	return envelope{digest, blob, sig, p.Critical.Image.Digest}
}

// readBundle reads a Sigstore bundle with a DSSE envelope.
func readBundle(t *testing.T, digest string, blob []byte) envelope {
	t.Helper()
	var b struct {
		Envelope struct {
			PayloadType string
			Payload     []byte
			Signatures  []struct{ Sig []byte }
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(blob, &b); err != nil || len(b.Envelope.Signatures) != 1 {
		t.Fatalf("the bundle %s: %v, %s", digest, err, blob[:min(len(blob), short)])
	}
	var statement struct {
		Subject []struct{ Digest map[string]string }
	}
	if err := json.Unmarshal(b.Envelope.Payload, &statement); err != nil || len(statement.Subject) != 1 {
		t.Fatalf("the statement of %s: %v", digest, err)
	}
	return envelope{digest, pae(b.Envelope.PayloadType, b.Envelope.Payload), b.Envelope.Signatures[0].Sig, "sha256:" + statement.Subject[0].Digest["sha256"]}
}

// pae is what a DSSE signature covers.
func pae(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(body), body)
}
