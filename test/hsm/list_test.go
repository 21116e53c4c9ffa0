package hsm

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// list compares what the token shows with what was made on it.
func list(t *testing.T, m *module) {
	entries, err := pkcs11signer.List(t.Context(), "pkcs11:token="+m.label, m.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range m.signing() {
		e := entryOf(entries, k.name)
		if e == nil || !e.Private || e.Type != k.name || e.Problem != "" || *e.Custody != m.custody {
			t.Errorf("%s is listed as %+v", k.name, e)
			continue
		}
		if got, _ := signer.Fingerprint(open(t, m, e.URI, m.options()).Public()); got != e.Fingerprint {
			t.Errorf("%s opens the key %s, want %s", e.URI, got, e.Fingerprint)
		}
	}
	e := entryOf(entries, bare)
	if e == nil || strings.HasPrefix(e.Problem, "pkcs11_public_missing: ") == (m.tells != "") {
		t.Errorf("the key without a public object is listed as %+v", e)
	}
	for _, e := range entries {
		hidesPIN(t, m, e.URI+e.Problem)
	}
}

// entryOf returns the entry with a label, or nil.
func entryOf(entries []pkcs11signer.Entry, label string) *pkcs11signer.Entry {
	for _, e := range entries {
		if u, err := pkcs11signer.ParseURI(e.URI); err == nil && u.Object == label {
			return &e
		}
	}
	return nil
}

// doctor finds nothing to fail in a token that signs, and what is missing in
// one key of it.
func doctor(t *testing.T, m *module) {
	checks := pkcs11signer.Examine(t.Context(), m.uri(m.favourite().name), m.options())
	if last := checks[len(checks)-1]; last.Name != "mechanism" {
		t.Errorf("the examination ended with %+v", last)
	}
	for _, c := range checks {
		if c.Status == signer.Fail || c.Status == signer.Warn && c.Name != "attributes" {
			t.Errorf("%+v", c)
		}
		hidesPIN(t, m, c.Fact+c.Next)
	}
	checks = pkcs11signer.Examine(t.Context(), m.uri("nosuch"), m.options())
	if last := checks[len(checks)-1]; last.Status != signer.Fail || last.Code != "pkcs11_key_not_found" {
		t.Errorf("the examination of a key that there is not ended with %+v", last)
	}
}
