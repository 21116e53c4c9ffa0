package envelope_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	library "github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/image"
)

var (
	at     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	digest = "sha256:" + strings.Repeat("1", 64)
	app    = image.Subject{Repository: "ghcr.io/acme/app", Digest: digest, Tags: []string{"1.4", "latest"}}
	claims = envelope.Claims{
		Version: 1, Repository: app.Repository, Tags: app.Tags, IssuedAt: at, ExpiresAt: at.Add(24 * time.Hour), Sequence: 42,
		Run: &envelope.Run{Repository: "acme/app", RunID: "4711"}, Key: &envelope.KeyClaim{ID: "arn:x", Fingerprint: "sha256:22"},
	}
)

const claimsJSON = `{"version":1,"repository":"ghcr.io/acme/app","tags":["1.4","latest"],"issuedAt":"2026-11-21T12:00:00Z","expiresAt":"2026-11-22T12:00:00Z","sequence":42,"run":{"repository":"acme/app","runId":"4711"},"key":{"id":"arn:x","fingerprint":"sha256:22"}}`

// TestPayload fixes the bytes of a simple signing payload: docs/claims.md
// shows them.
func TestPayload(t *testing.T) {
	got, err := simplesigning.Payload(app, "1.4", claims, map[string]string{"env": "prod"})
	want := `{"critical":{"identity":{"docker-reference":"ghcr.io/acme/app:1.4"},"image":{"docker-manifest-digest":"` + digest +
		`"},"type":"cosign container image signature"},"optional":{"dev.signgate.claims":` + claimsJSON + `,"env":"prod"}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// TestStatement: what is written is read back, all of it.
func TestStatement(t *testing.T) {
	statement, err := attest.Signature(app, claims, map[string]string{"env": "prod"})
	if err != nil {
		t.Fatal(err)
	}
	var v envelope.Verified
	if err := attest.Read(&v, statement); err != nil {
		t.Fatal(err)
	}
	if v.SubjectDigest != digest || v.PredicateType != envelope.SignaturePredicate || v.Annotations["env"] != "prod" ||
		v.Claims.Sequence != 42 || !v.Claims.ExpiresAt.Equal(claims.ExpiresAt) || *v.Claims.Run != *claims.Run || *v.Claims.Key != *claims.Key {
		t.Errorf("%+v %+v", v, v.Claims)
	}
	for _, want := range []string{`"_type":"https://in-toto.io/Statement/v1"`, `"predicateType":"https://sigstore.dev/cosign/sign/v1"`, `"predicate":{"dev.signgate.claims":{`} {
		if !strings.Contains(string(statement), want) {
			t.Errorf("%s lacks %s", statement, want)
		}
	}
}

// TestBundle: the form that sigstore/cosign's BUNDLE_SPEC.md asks for.
func TestBundle(t *testing.T) {
	a, err := bundle.Seal([]byte(`{"a":1}`), []byte("sig"), envelope.SignaturePredicate, "sha256:"+strings.Repeat("00", 32))
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},` +
		`"dsseEnvelope":{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"c2ln"}]}}`
	if err != nil || string(a.Blob) != want {
		t.Errorf("%s, %v; want %s", a.Blob, err, want)
	}
	if got := string(dsse.ToSign([]byte(`{"a":1}`))); got != `DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}` {
		t.Errorf("PAE %q", got)
	}
}

// TestDSSE: the layer as cosign writes it, and the encoding as the library of
// DSSE has it.
func TestDSSE(t *testing.T) {
	a, err := dsse.Seal([]byte(`{"a":1}`), []byte("sig"), "https://acme.example/x", "sha256:00")
	want := `{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"c2ln"}]}`
	if err != nil || string(a.Blob) != want || a.Annotations["predicateType"] != "https://acme.example/x" {
		t.Errorf("%s %v, %v; want %s", a.Blob, a.Annotations, err, want)
	}
	if sig, there := a.Annotations["dev.cosignproject.cosign/signature"]; sig != "" || !there {
		t.Error("cosign wants an empty annotation for the signature")
	}
	for _, payload := range []string{"", "x", strings.Repeat("é", 1000)} {
		if got, want := dsse.ToSign([]byte(payload)), library.PAE(dsse.PayloadType, []byte(payload)); !bytes.Equal(got, want) {
			t.Errorf("PAE %q, want %q", got, want)
		}
	}
}

func TestParseClaims(t *testing.T) {
	if c, err := envelope.ParseClaims([]byte(claimsJSON)); err != nil || c.Sequence != 42 {
		t.Fatalf("%+v, %v", c, err)
	}
	for reason, text := range map[string]string{
		"no version":            `{}`,
		"another version":       `{"version":2}`,
		"duplicate members":     `{"version":1,"version":1}`,
		"a wrong type":          `{"version":1,"tags":"1.4"}`,
		"an unknown critical":   `{"version":1,"critical":["quorum"]}`,
		"a sequence below zero": `{"version":1,"sequence":-1}`,
		"a sequence too large":  `{"version":1,"sequence":9007199254740992}`,
		"no time":               `{"version":1,"issuedAt":"yesterday"}`,
		"trailing data":         `{"version":1}{}`,
		"no object":             `null`,
	} {
		if c, err := envelope.ParseClaims([]byte(text)); err == nil {
			t.Errorf("%s: %+v", reason, c)
		}
	}
	for reason, text := range map[string]string{
		"an unknown member that is not critical": `{"version":1,"quorum":3}`,
		"a known critical":                       `{"version":1,"critical":["expiresAt"]}`,
	} {
		if _, err := envelope.ParseClaims([]byte(text)); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestContradiction: which claims count for which request.
func TestContradiction(t *testing.T) {
	change := func(f func(*envelope.Claims)) *envelope.Claims {
		c := claims
		f(&c)
		return &c
	}
	for name, tc := range map[string]struct {
		c    *envelope.Claims
		tag  string
		want string // a part of the reason; "" when it counts
	}{
		"no claims":           {nil, "1.4", ""},
		"the same":            {&claims, "1.4", ""},
		"another of its tags": {&claims, "latest", ""},
		"no tag asked":        {&claims, "", ""},
		"another tag":         {&claims, "1.5", "for the tags 1.4, latest"},
		"no tag claimed":      {change(func(c *envelope.Claims) { c.Tags = nil }), "1.5", ""},
		"another repository":  {change(func(c *envelope.Claims) { c.Repository = "ghcr.io/acme/other" }), "1.4", "for the repository"},
		"expired":             {change(func(c *envelope.Claims) { c.ExpiresAt = at }), "1.4", "expired at"},
		"another key":         {change(func(c *envelope.Claims) { c.Key = &envelope.KeyClaim{Fingerprint: "sha256:33"} }), "1.4", "claims the key"},
	} {
		got := tc.c.Contradiction(app.Repository, tc.tag, "sha256:22", at)
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	hub := envelope.Claims{Repository: "index.docker.io/library/alpine"}
	if got := hub.Contradiction("docker.io/library/alpine", "", "", at); got != "" {
		t.Errorf("docker.io and index.docker.io: %s", got)
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add([]byte(claimsJSON))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := envelope.ParseClaims(data); err == nil && c.Version != envelope.ClaimsVersion {
			t.Errorf("%q: version %d", data, c.Version)
		}
	})
}
