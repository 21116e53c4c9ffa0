package azurekms

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

const v32 = "0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	for uri, want := range map[string]reference{
		"azurekms://acme.vault.azure.net/release":                         {host: "acme.vault.azure.net", name: "release"},
		"azurekms://Acme.Vault.Azure.NET/Release":                         {host: "acme.vault.azure.net", name: "Release"},
		"azurekms://acme.vault.azure.net/release/" + v32:                  {host: "acme.vault.azure.net", name: "release", version: v32},
		"azurekms://acme.vault.azure.net/release/" + strings.ToUpper(v32): {host: "acme.vault.azure.net", name: "release", version: v32},
		"azurekms://acme-1.managedhsm.azure.net/r-1":                      {host: "acme-1.managedhsm.azure.net", name: "r-1"},
		"azurekms://acme.vault.azure.cn/k":                                {host: "acme.vault.azure.cn", name: "k"},
		"azurekms://acme.managedhsm.azure.cn/k":                           {host: "acme.managedhsm.azure.cn", name: "k"},
		"azurekms://acme.vault.usgovcloudapi.net/k":                       {host: "acme.vault.usgovcloudapi.net", name: "k"},
		"azurekms://acme.managedhsm.usgovcloudapi.net/1":                  {host: "acme.managedhsm.usgovcloudapi.net", name: "1"},
		"azurekms://a-c.vault.azure.net/" + strings.Repeat("k", 127):      {host: "a-c.vault.azure.net", name: strings.Repeat("k", 127)},
	} {
		got, err := parse(uri)
		if err != nil || got.host != want.host || got.name != want.name || got.version != want.version || !strings.HasSuffix(got.host, "."+got.place.suffix) {
			t.Errorf("parse(%q) = %+v, %v; want %+v", uri, got, err, want)
		}
	}
}

// The host decides the cloud, its login hosts and the audience of a token.
func TestPlaces(t *testing.T) {
	for host, want := range map[string][4]string{
		"acme.vault.azure.net":              {"Key Vault", "Azure", "login.microsoftonline.com", "api://AzureADTokenExchange"},
		"acme.managedhsm.azure.net":         {"Managed HSM", "Azure", "login.microsoftonline.com", "api://AzureADTokenExchange"},
		"acme.vault.azure.cn":               {"Key Vault", "Azure China", "login.chinacloudapi.cn", "api://AzureADTokenExchangeChina"},
		"acme.vault.usgovcloudapi.net":      {"Key Vault", "Azure Government", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"},
		"acme.managedhsm.usgovcloudapi.net": {"Managed HSM", "Azure Government", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"},
	} {
		ref, err := parse("azurekms://" + host + "/k")
		p := ref.place
		if got := [4]string{p.service, p.cloud, p.logins[0], p.audience}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", host, got, err, want)
		}
		if p.config.ActiveDirectoryAuthorityHost != "https://"+p.logins[0]+"/" {
			t.Errorf("%s logs in at %s, but %s is allowed", host, p.config.ActiveDirectoryAuthorityHost, p.logins[0])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for uri, says := range map[string]string{
		"":                                    "azurekms://",
		"azurekms:":                           "azurekms://",
		"AZUREKMS://acme.vault.azure.net/k":   "azurekms://",
		"azurekms://":                         "*.vault.azure.net",
		"azurekms:///k":                       "*.vault.azure.net",
		"azurekms://acme/k":                   "*.managedhsm.usgovcloudapi.net",
		"azurekms://vault.azure.net/k":        "not one of",
		"azurekms://acme.vault.azure.com/k":   "not one of",
		"azurekms://acme.evilvault.azure.net": "not one of",
		"azurekms://acme.vault.azure.net.evil.example/k":                 "not one of",
		"azurekms://acme.privatelink.vaultcore.azure.net/k":              "not one of",
		"azurekms://acme.vault.microsoftazure.de/k":                      "not one of",
		"azurekms://evil.example#acme.vault.azure.net/k":                 "not one of",
		"azurekms://a.b.vault.azure.net/k":                               "not one of",
		"azurekms://acme.vault.azure.net:443/k":                          "not one of",
		"azurekms://user@acme.vault.azure.net/k":                         "name of a vault",
		"azurekms://.vault.azure.net/k":                                  "name of a vault",
		"azurekms://ab.vault.azure.net/k":                                "name of a vault",
		"azurekms://1cme.vault.azure.net/k":                              "name of a vault",
		"azurekms://ac--me.vault.azure.net/k":                            "name of a vault",
		"azurekms://acme-.vault.azure.net/k":                             "name of a vault",
		"azurekms://" + strings.Repeat("a", 25) + ".vault.azure.net/k":   "name of a vault",
		"azurekms://acme.vault.azure.net":                                "not the name of a key",
		"azurekms://acme.vault.azure.net/":                               "not the name of a key",
		"azurekms://acme.vault.azure.net/k/":                             "not the name of a key",
		"azurekms://acme.vault.azure.net//k":                             "not the name of a key",
		"azurekms://acme.vault.azure.net/keys/k":                         "not the name of a key",
		"azurekms://acme.vault.azure.net/keys/k/" + v32:                  "not the name of a key",
		"azurekms://acme.vault.azure.net/k/latest":                       "not the name of a key",
		"azurekms://acme.vault.azure.net/k/" + v32[1:]:                   "not the name of a key",
		"azurekms://acme.vault.azure.net/k/" + v32 + "/sign":             "not the name of a key",
		"azurekms://acme.vault.azure.net/k_1":                            "not the name of a key",
		"azurekms://acme.vault.azure.net/k%2e":                           "not the name of a key",
		"azurekms://acme.vault.azure.net/..":                             "not the name of a key",
		"azurekms://acme.vault.azure.net/k?version=1":                    "not the name of a key",
		"azurekms://acme.vault.azure.net/k#1":                            "not the name of a key",
		"azurekms://acme.vault.azure.net/k\n":                            "not the name of a key",
		"azurekms://acme.vault.azure.net/" + strings.Repeat("k", 128):    "not the name of a key",
		"azurekms://acme.vault.azure.net/" + strings.Repeat("k", maxURI): "too long",
	} {
		_, err := parse(uri)
		if fault.CodeOf(err) != "kms_uri_invalid" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), says) {
			t.Errorf("parse(%q): %v, want a configuration fault kms_uri_invalid that says %q", uri, err, says)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("parse(%.40q…): a message of %d bytes", uri, len(err.Error()))
		}
	}
}

func TestParseKID(t *testing.T) {
	for kid, want := range map[string]string{
		"https://acme.vault.azure.net/keys/release/" + v32:                  "https://acme.vault.azure.net/keys/release/" + v32,
		"https://ACME.vault.azure.net/keys/Release/" + strings.ToUpper(v32): "https://acme.vault.azure.net/keys/Release/" + v32,
		"https://acme.managedhsm.azure.net:443/keys/r/" + v32:               "https://acme.managedhsm.azure.net/keys/r/" + v32,
		"https://acme.vault.azure.net/keys/release":                         "",
		"https://acme.vault.azure.net/secrets/release/" + v32:               "",
		"http://acme.vault.azure.net/keys/release/" + v32:                   "",
		"https://a@acme.vault.azure.net/keys/release/" + v32:                "",
		"https://acme.vault.azure.net/keys/release/" + v32 + "/":            "",
		"": "",
	} {
		id, ok := parseKID(kid)
		if ok != (want != "") || ok && id.String() != want {
			t.Errorf("parseKID(%q) = %v, %v; want %q", kid, id, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"azurekms://acme.vault.azure.net/release", "azurekms://a-1.managedhsm.azure.cn/k/" + v32,
		"azurekms://acme.vault.usgovcloudapi.net/k?x=1", "azurekms:///k", "azurekms://a@acme.vault.azure.net:1/k"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		ref, err := parse(uri)
		if err != nil {
			if fault.CodeOf(err) != "kms_uri_invalid" {
				t.Errorf("%v has the code %s", err, fault.CodeOf(err))
			}
			return
		}
		again := schemeURI + ref.host + "/" + ref.name
		if ref.version != "" {
			again += "/" + ref.version
		}
		if !strings.EqualFold(again, uri) || strings.ContainsAny(again[len(schemeURI):], "?#%@: \n") || !strings.HasSuffix(ref.host, "."+ref.place.suffix) {
			t.Errorf("parse(%q) = %+v", uri, ref)
		}
	})
}

func FuzzParseKID(f *testing.F) {
	f.Add("https://acme.vault.azure.net/keys/release/" + v32)
	f.Fuzz(func(t *testing.T, kid string) {
		id, ok := parseKID(kid)
		if !ok {
			return
		}
		if again, ok := parseKID(id.String()); !ok || again != id {
			t.Errorf("parseKID(%q) = %v, which reads as %v", kid, id, again)
		}
	})
}
