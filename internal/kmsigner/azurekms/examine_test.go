package azurekms_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/kmsigner/azurekms"
	"github.com/signgate/signgate/internal/kmsigner/azurekms/azuretest"
	"github.com/signgate/signgate/internal/signer"
)

func examine(t *testing.T, cloud *azuretest.Cloud, uri string, env map[string]string) []string {
	t.Helper()
	var lines []string
	for _, c := range azurekms.Examine(t.Context(), uri, over(cloud, env)) {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", c.Status, c.Name, c.Fact))
		if (c.Status == signer.OK) != (c.Next == "") {
			t.Errorf("%s: the next step is %q", lines[len(lines)-1], c.Next)
		}
		for _, secret := range append(cloud.Secrets(), "must-not-show") {
			if strings.Contains(c.Fact+c.Next, secret) {
				t.Errorf("%s shows a secret", c.Name)
			}
		}
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	fits := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		fits = fits && strings.HasPrefix(got[i], want[i])
	}
	if !fits {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestExamine(t *testing.T) {
	cloud, kid := start(t)
	wantLines(t, examine(t, cloud, "azurekms://"+host+"/release", nil),
		"ok: vault: Key Vault of the cloud Azure at acme.vault.azure.net, login at login.microsoftonline.com",
		"ok: credentials: the OIDC token of the workflow for the application aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee in the tenant 11111111-2222-4333-8444-555555555555 (subject repo:acme/app:environment:release), service principal with the object ID 99999999-8888-4777-8666-555555555555",
		"ok: key: "+kid,
		"ok: version: the current one is used",
		"ok: state: enabled",
		"ok: operations: sign, verify",
		"ok: protection: software, in the vault",
		"ok: public key: P-256, sha256:",
		"ok: permission to sign: a trial signature was made and verified here")
	if n := cloud.Vault.Count("sign"); n != 1 {
		t.Errorf("%d signatures, want 1", n)
	}
}

func TestExamineStates(t *testing.T) {
	cloud, _ := start(t)
	uri := "azurekms://" + host + "/hsm"
	kid := cloud.Vault.Rotate("hsm", azuretest.P521)
	past, soon, later := time.Now().Add(-time.Hour), time.Now().Add(time.Hour), time.Now().Add(1000*time.Hour)
	for name, c := range map[string]struct {
		change func(*azuretest.State)
		want   []string
	}{
		"fine": {func(s *azuretest.State) { s.Expires, s.NotBefore = &later, &past },
			[]string{"ok: state: enabled, expires 20", "ok: operations", "ok: protection: HSM", "ok: public key: P-521", "ok: permission to sign"}},
		"expires soon": {func(s *azuretest.State) { s.Expires = &soon },
			[]string{"warn: state: enabled, expires 20", "ok: operations", "ok: protection: HSM", "ok: public key", "ok: permission to sign"}},
		"expired": {func(s *azuretest.State) { s.Expires = &past },
			[]string{"fail: state: enabled, expires 20", "ok: operations", "ok: protection: HSM", "ok: public key", "fail: permission to sign: the Azure key " + kid + " has expired"}},
		"not yet valid": {func(s *azuretest.State) { s.NotBefore = &soon },
			[]string{"fail: state: enabled, valid from 20", "ok: operations", "ok: protection: HSM", "ok: public key", "fail: permission to sign"}},
		"disabled": {func(s *azuretest.State) { s.Enabled, s.Expires = false, &soon },
			[]string{"fail: state: disabled, expires", "ok: operations", "ok: protection: HSM", "fail: key: the Azure key " + kid + " is disabled"}},
		"for verifying": {func(s *azuretest.State) { s.Operations = []string{"verify"} },
			[]string{"ok: state: enabled", "fail: operations: verify", "ok: protection: HSM", "fail: key: the key operations of"}},
	} {
		t.Run(name, func(t *testing.T) {
			cloud.Vault.Change(kid, func(s *azuretest.State) {
				*s = azuretest.State{Enabled: true, Operations: []string{"sign", "verify"}}
				c.change(s)
			})
			wantLines(t, examine(t, cloud, uri+"/"+kid[len(kid)-32:], nil),
				append([]string{"ok: vault", "ok: credentials", "ok: key: " + kid, "ok: version: the URI names it"}, c.want...)...)
		})
	}
}

func TestExamineFailures(t *testing.T) {
	cloud, _ := start(t)
	cloud.ClientSecret = clientSecret
	cloud.Vault.Rotate("koblitz", azuretest.P256K)
	uri := "azurekms://" + host + "/release"
	wantLines(t, examine(t, cloud, "azurekms://acme/release", nil), "fail: key: the key \"azurekms://acme/release\" is not understood")
	wantLines(t, examine(t, cloud, uri, map[string]string{"AZURE_CLIENT_ID": ""}), "fail: credentials: no Azure credentials")
	wantLines(t, examine(t, cloud, uri, map[string]string{"AZURE_CLIENT_ID": "x"}), "ok: vault", "fail: credentials: no Azure token")
	wantLines(t, examine(t, cloud, "azurekms://"+host+"/none", nil), "ok: vault", "ok: credentials", "fail: key: Azure Key Vault has no key")
	wantLines(t, examine(t, cloud, "azurekms://"+host+"/koblitz", nil), "ok: vault", "ok: credentials", "ok: key", "ok: version", "ok: state", "ok: operations", "ok: protection",
		"fail: key: the Azure key https://acme.vault.azure.net/keys/koblitz/")
	cloud.Vault.Inject("get", denied)
	wantLines(t, examine(t, cloud, uri, nil), "ok: vault", "ok: credentials", "fail: permission to read: Azure Key Vault denied get")
	cloud.Vault.Inject("sign", denied)
	got := examine(t, cloud, uri, map[string]string{"AZURE_CLIENT_SECRET": clientSecret})
	if !strings.HasPrefix(got[1], "warn: credentials: AZURE_CLIENT_SECRET") || !strings.HasPrefix(got[len(got)-1], "fail: permission to sign: Azure Key Vault denied sign") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
