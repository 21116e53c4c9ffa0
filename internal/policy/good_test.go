package policy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

func good(t testing.TB, name string) *policy.Policy {
	t.Helper()
	for _, f := range archive(t, "good.txtar") {
		if f.Name == name {
			p, err := load(f.Name, f.Data)
			if err != nil {
				t.Fatalf("%v\n%v", err, policy.Problems(err))
			}
			return p
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// TestGood: every policy of the archive loads and can be met.
func TestGood(t *testing.T) {
	for _, f := range archive(t, "good.txtar") {
		p, err := load(f.Name, f.Data)
		if err != nil {
			t.Errorf("%s: %v", f.Name, policy.Problems(err))
			continue
		}
		checkLoaded(t, p)
	}
}

// checkLoaded checks what every loaded policy has.
func checkLoaded(t *testing.T, p *policy.Policy) {
	t.Helper()
	if len(p.Rules) == 0 || len(p.Keys) == 0 || len(p.SHA256) != 64 {
		t.Errorf("a policy of %d rules and %d keys loads", len(p.Rules), len(p.Keys))
	}
	for _, r := range p.Rules {
		if err := r.Check(); err != nil || len(r.Patterns) == 0 || r.Name == "" || r.Mode == "" || r.Index == "" {
			t.Errorf("a rule that cannot be used loads: %+v %v", r, err)
		}
		for _, k := range r.Keys() {
			if _, ok := r.Validity[k.Fingerprint]; !ok {
				t.Errorf("nothing is said about the validity of %s", k.Name)
			}
		}
		for _, a := range r.Attestations {
			if a.Type == "" || a.Which != policy.Any && a.MaxAge == 0 {
				t.Errorf("an attestation that cannot be used loads: %+v", a)
			}
		}
	}
	for _, e := range p.Exceptions {
		if e.ID == "" || e.Image == "" || e.Reason == "" || len(e.Skip) == 0 || e.Until.IsZero() {
			t.Errorf("an exception that cannot be used loads: %+v", e)
		}
	}
}

// TestDefaults: what is left out takes the strict value.
func TestDefaults(t *testing.T) {
	r := good(t, "a.yaml").Rules[0]
	if r.Index != policy.EveryChild || r.Mode != policy.Enforce || r.Require[0].Min != 1 || len(r.Require[0].Formats) != len(envelope.Formats()) {
		t.Errorf("%+v", r)
	}
	all := good(t, "all.yaml").Rules[0]
	if all.Attestations[0].Which != policy.Any || all.Attestations[1].Which != policy.Newest || all.Base.DigestFrom != "provenance" {
		t.Errorf("%+v", all)
	}
	if f := all.Require[1].Formats; len(f) != 1 || f[0] != envelope.Bundle {
		t.Errorf("formats are %v", f)
	}
}

// TestMeaning: what the examples say arrives.
func TestMeaning(t *testing.T) {
	p := good(t, "b.yaml")
	prod, mirror := p.Rules[0], p.Rules[1]
	if prod.MaxAge != 90*24*time.Hour || !prod.Bind.Repository || !prod.Bind.Tag || !prod.Bind.Rollback || len(prod.Require) != 2 || prod.Require[0].Name != "build" {
		t.Errorf("%+v", prod)
	}
	if mirror.Mode != policy.Warn || !mirror.Bind.Repository || mirror.Bind.Remap["registry.acme.io/mirror"] != "ghcr.io/vendor" {
		t.Errorf("%+v", mirror)
	}
	kms25 := p.Keys[0]
	if err := kms25.Problem(now); fault.CodeOf(err) != "key_revoked" || !strings.Contains(err.Error(), "since 2026-05-02T10:00:00Z (leaked)") {
		t.Error(err)
	}
	kms26 := p.Keys[1]
	if fault.CodeOf(kms26.Problem(now)) != "key_not_valid" || kms26.Problem(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) != nil {
		t.Error("notBefore is not the first instant of its day")
	}
	until := policy.Validity{NotAfter: now}
	if fault.CodeOf(until.Problem(now)) != "key_not_valid" || until.Problem(now.Add(-1)) != nil {
		t.Error("notAfter is not the first instant at which the key does not count")
	}
}

// TestOneKeyTwoNames: such a key has the strictest of its limits, and counts once.
func TestOneKeyTwoNames(t *testing.T) {
	r := good(t, "two-names.yaml").Rules[0]
	if keys := r.Keys(); len(keys) != 1 {
		t.Fatalf("%d keys", len(keys))
	}
	v := r.Validity[r.Keys()[0].Fingerprint]
	if v.NotBefore.Day() != 2 || v.NotAfter.Day() != 3 || v.Revoked == nil || v.Revoked.Reason != "lost" {
		t.Errorf("%+v", v)
	}
}

// TestHash: with inline keys it is the hash of the text, else that of what
// sha256sum says of the text and of the key files.
func TestHash(t *testing.T) {
	text := []byte(strings.Replace(minimal, "rules", "  \nrules", 1))
	p, err := load("p", text)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile("testdata/keys/a.pub")
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	if want := sum(fmt.Appendf(nil, "%s  -\n%s  a.pub\n", sum(text), sum(key))); p.SHA256 != want {
		t.Errorf("%s, want %s", p.SHA256, want)
	}
	inline := "version: 1\nkeys:\n  a:\n    pem: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(key)), "\n", "\n      ") + "\nrules: [{match: [ghcr.io/acme/**], require: [{keys: [a]}]}]\n"
	q, err := policy.Load(policy.Source{Name: "q", Text: []byte(inline), Now: now})
	if err != nil {
		t.Fatal(policy.Problems(err))
	}
	if q.SHA256 != sum([]byte(inline)) || q.Keys[0].Fingerprint != p.Keys[0].Fingerprint || q.Keys[0].Source != "inline" || p.Keys[0].Source != "a.pub" {
		t.Errorf("%+v", q)
	}
}

// TestExceptions: they are in force until their end, for the image and for the
// platforms of an index, and for nothing else.
func TestExceptions(t *testing.T) {
	p := good(t, "all.yaml")
	digest, other := "sha256:"+strings.Repeat("0", 64), "sha256:"+strings.Repeat("1", 64)
	until := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		subject image.Subject
		now     time.Time
		want    bool
	}{
		"the image":        {image.Subject{Repository: "ghcr.io/acme/pay", Digest: digest}, now, true},
		"its platform":     {image.Subject{Repository: "ghcr.io/acme/pay", Digest: other, Index: digest}, now, true},
		"another digest":   {image.Subject{Repository: "ghcr.io/acme/pay", Digest: other}, now, false},
		"another index":    {image.Subject{Repository: "ghcr.io/acme/pay", Digest: other, Index: other}, now, false},
		"another place":    {image.Subject{Repository: "ghcr.io/acme/pay/x", Digest: digest}, now, false},
		"a moment before":  {image.Subject{Repository: "ghcr.io/acme/pay", Digest: digest}, until.Add(-1), true},
		"when it has come": {image.Subject{Repository: "ghcr.io/acme/pay", Digest: digest}, until, false},
	} {
		r, err := p.For(tc.subject, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		_, attestations := r.Skips("attestations")
		_, signatures := r.Skips("signatures")
		if attestations != tc.want || signatures {
			t.Errorf("%s: %v %v", name, attestations, signatures)
		}
	}
	if s := p.Exceptions[0].String(); !strings.Contains(s, "EX-12") || !strings.Contains(s, "SEC-88") || !strings.Contains(s, "by alice") {
		t.Error(s)
	}
}

// TestRuleFor: one rule applies, that with the most literal pattern.
func TestRuleFor(t *testing.T) {
	p := good(t, "selection.yaml")
	for repository, want := range map[string]string{
		"ghcr.io/acme/app":               "ghcr.io/acme/app",
		"ghcr.io/acme/app-web":           "ghcr.io/acme/app-*",
		"ghcr.io/acme/api":               "ghcr.io/acme/a*",
		"ghcr.io/acme/web":               "ghcr.io/acme/**",
		"ghcr.io/acme/app/sub":           "ghcr.io/acme/**",
		"ghcr.io/other/web":              "ghcr.io/**",
		"docker.io/library/alpine":       "docker.io/library/*",
		"index.docker.io/library/alpine": "docker.io/library/*",
		"docker.io/acme/app":             "",
		"ghcr.io.evil.com/acme/app":      "",
		"evil.com/ghcr.io/acme/app":      "",
		"ghcr.io/acme/app\n":             "ghcr.io/**!",
		"":                               "",
	} {
		r, err := p.RuleFor(repository)
		switch {
		case strings.HasSuffix(want, "!"): // no repository; whatever it is, it is not the exact one
			if err == nil && r.Name == "ghcr.io/acme/app" {
				t.Errorf("%q has the rule %s", repository, r.Name)
			}
		case want == "" && (fault.CodeOf(err) != "rule_missing" || fault.OutcomeOf(err) != fault.Refused):
			t.Errorf("%q: %v %v", repository, r.Name, err)
		case r.Name != want:
			t.Errorf("%q has the rule %q, want %q (%v)", repository, r.Name, want, err)
		}
	}
}
