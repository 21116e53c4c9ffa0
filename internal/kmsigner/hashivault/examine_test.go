package hashivault_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/signer"
)

func summary(checks []signer.Check) string {
	var lines []string
	for _, c := range checks {
		lines = append(lines, fmt.Sprintf("%s %s", c.Name, c.Status))
	}
	return strings.Join(lines, ", ")
}

func TestExamine(t *testing.T) {
	const good = "address ok, login ok, token ok, namespace ok, mount ok, key ok, version ok, deletion ok, export ok, permission to sign ok"
	for name, c := range map[string]struct {
		uri     string
		without []string
		env     env
		set     func(*site)
		want    string
		says    string
	}{
		"good":      {"hashivault://release", []string{"VAULT_TOKEN"}, nil, nil, good, "jwt-signer"},
		"AppRole":   {"openbao://release", []string{"VAULT_TOKEN", "VAULT_ROLE"}, nil, nil, good, "AppRole at auth/approle"},
		"root":      {"hashivault://release", nil, env{"VAULT_TOKEN": root}, nil, strings.Replace(good, "token ok", "token warn", 1), "use a token with a policy for this key alone"},
		"deletable": {"hashivault://release", nil, nil, func(s *site) { s.SetFlag(release, "deletion_allowed", true) }, strings.Replace(good, "deletion ok", "deletion warn", 1), "deletion_allowed=false"},
		"exportable": {"hashivault://release", nil, nil, func(s *site) { s.SetFlag(release, "exportable", true) },
			strings.Replace(good, "export ok", "export warn", 1), "the private key can leave the server"},
		"no lookup": {"hashivault://release", nil, nil, func(s *site) { s.Inject("lookup-self", vaulttest.Fail(403, "permission denied")) },
			strings.Replace(good, "token ok", "token warn", 1), "look up the token"},
		"may not sign": {"hashivault://release", nil, env{"VAULT_TOKEN": "hvs.reader"}, func(s *site) { s.CreateToken("", "hvs.reader", signerRules[:1]) },
			strings.Replace(good, "sign ok", "sign fail", 1), "update on transit/sign/release/*"},
		"corrupted": {"hashivault://release", nil, nil, func(s *site) { s.Inject("sign", vaulttest.CorruptSignature()) },
			strings.Replace(good, "sign ok", "sign fail", 1), "does not verify"},
		"no key":     {"hashivault://release?mount=other", nil, env{"VAULT_TOKEN": root}, nil, "address ok, login ok, token warn, namespace ok, mount ok, key fail", "?mount= (now other)"},
		"retired":    {"hashivault://release?version=2", nil, nil, nil, "address ok, login ok, token ok, namespace ok, mount ok, key fail", "its latest is 1"},
		"no login":   {"hashivault://release", []string{"VAULT_TOKEN", "VAULT_ROLE", "VAULT_ROLE_ID", "HOME"}, nil, nil, "address ok, login fail", "set VAULT_ROLE"},
		"no address": {"hashivault://release", []string{"VAULT_ADDR"}, nil, nil, "address fail", "set VAULT_ADDR"},
		"no URI":     {"hashivault://", nil, nil, nil, "address fail", "write hashivault://NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if c.set != nil {
				c.set(s)
			}
			checks := hashivault.Examine(t.Context(), c.uri, options(s.all().without(c.without...).with(c.env)))
			text := fmt.Sprint(checks)
			if got := summary(checks); got != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%s\nwant %s that says %q:\n%s", got, c.want, c.says, text)
			}
			for _, check := range checks {
				if (check.Status == signer.OK) != (check.Next == "") || check.Fact == "" {
					t.Errorf("%+v", check)
				}
			}
			for _, secret := range append(s.issuer.Issued(), append(s.Tokens(), root, secretID)...) {
				if strings.Contains(text, secret) {
					t.Error("a check shows a secret")
				}
			}
			for _, token := range s.Tokens() {
				if token != "hvs.given" && token != "hvs.file" && token != "hvs.reader" {
					t.Error("a token of our own login is left")
				}
			}
		})
	}
}

// The policy in docs/vault.md is enough, also for Ed25519, and each of its
// stanzas is needed.
func TestDocumentedPolicy(t *testing.T) {
	page, err := os.ReadFile("../../../docs/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []vaulttest.Rule
	for _, m := range regexp.MustCompile(`(?s)path "([^"]+)" \{\s*capabilities = \["([a-z]+)"\]\s*\}`).FindAllStringSubmatch(string(page), -1) {
		rules = append(rules, vaulttest.Rule{Path: m[1], Capabilities: []string{m[2]}})
	}
	if len(rules) < 2 {
		t.Fatalf("found %d stanzas", len(rules))
	}
	for kind, alg := range map[vaulttest.Type]signer.Algorithm{vaulttest.P256: signer.ECDSASHA256, vaulttest.Ed25519: signer.Ed25519} {
		server := start(t)
		create(t, server, release, kind)
		server.CreateToken("", "hvs.one", rules)
		key, err := hashivault.Open(t.Context(), "hashivault://release", options(env{"VAULT_ADDR": server.URL, "VAULT_TOKEN": "hvs.one"}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guard(t, key).Sign(t.Context(), alg, []byte("message")); err != nil {
			t.Error(err)
		}
	}
}
