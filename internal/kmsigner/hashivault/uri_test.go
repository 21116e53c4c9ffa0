package hashivault

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

func TestParse(t *testing.T) {
	for uri, want := range map[string]reference{
		"hashivault://release":                       {name: "release"},
		"openbao://release":                          {name: "release", openBao: true},
		"hashivault://a":                             {name: "a"},
		"hashivault://my_key-1.2":                    {name: "my_key-1.2"},
		"hashivault://release?":                      {name: "release"},
		"hashivault://release?version=12":            {name: "release", version: 12},
		"hashivault://release?mount=a/b-c_d":         {name: "release", mount: "a/b-c_d"},
		"hashivault://release?mount=%2Fa%2Fb%2F":     {name: "release", mount: "a/b"},
		"hashivault://release?namespace=admin/team/": {name: "release", namespace: "admin/team"},
		"openbao://release?mount=m&namespace=n&version=1": {
			name: "release", openBao: true, mount: "m", namespace: "n", version: 1},
	} {
		if got, err := parse(uri); err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", uri, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for uri, says := range map[string]string{
		"":                                                  "hashivault://",
		"hashivault:":                                       "hashivault://",
		"hashivault:/release":                               "hashivault://",
		"HASHIVAULT://release":                              "hashivault://",
		"vault://release":                                   "hashivault://",
		"hashivault://":                                     "name of a key",
		"hashivault:///release":                             "slash",
		"hashivault://transit/release":                      "VAULT_ADDR",
		"hashivault://release/versions/1":                   "slash",
		"hashivault://release key":                          "name of a key",
		"hashivault://release#1":                            "name of a key",
		"hashivault://user@release":                         "name of a key",
		"hashivault://release%2f":                           "name of a key",
		"hashivault://rel\nease":                            "name of a key",
		"hashivault://..":                                   "name of a key",
		"hashivault://-a":                                   "name of a key",
		"hashivault://ä":                                    "name of a key",
		"hashivault://release?version=":                     "version=",
		"hashivault://release?version=0":                    "version=",
		"hashivault://release?version=-1":                   "version=",
		"hashivault://release?version=01":                   "version=",
		"hashivault://release?version=v1":                   "version=",
		"hashivault://release?version=latest":               "version=",
		"hashivault://release?version=99999999999999999999": "version=",
		"hashivault://release?version=1&version=1":          "twice",
		"hashivault://release?mount=":                       "mount=",
		"hashivault://release?mount=/":                      "mount=",
		"hashivault://release?mount=//a":                    "mount=",
		"hashivault://release?mount=a//b":                   "mount=",
		"hashivault://release?mount=../sys":                 "mount=",
		"hashivault://release?mount=a/../sys":               "mount=",
		"hashivault://release?mount=a/./b":                  "mount=",
		"hashivault://release?mount=...":                    "mount=",
		"hashivault://release?mount=a%3fb":                  "mount=",
		"hashivault://release?mount=a%20b":                  "mount=",
		"hashivault://release?namespace=a%0ab":              "namespace=",
		"hashivault://release?mout=a":                       "did you mean mount=",
		"hashivault://release?versoin=1":                    "did you mean version=",
		"hashivault://release?Mount=a":                      "did you mean mount=",
		"hashivault://release?region=eu-west-1":             "mount=, namespace= and version= only",
		"hashivault://release?mount=%zz":                    "malformed",
		"hashivault://release?mount=a;b":                    "malformed",
		"hashivault://" + strings.Repeat("a", 200):          "name of a key",
		"hashivault://" + strings.Repeat("a", 2000):         "too long",
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

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"hashivault://release", "openbao://a.b?mount=m/n&namespace=x&version=7", "hashivault://a?mount=%2fa%2f", "hashivault://a?x=1"} {
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
		for _, part := range []string{ref.mount, ref.namespace} {
			if strings.ContainsAny(part, "?#%@ \n\\:") || strings.Contains("/"+part+"/", "/../") || strings.HasPrefix(part, "/") || strings.HasSuffix(part, "/") {
				t.Errorf("parse(%q) = %+v", uri, ref)
			}
		}
		if ref.name == "" || strings.ContainsAny(ref.name, "/?#%@ \n") || ref.version < 0 {
			t.Errorf("parse(%q) = %+v", uri, ref)
		}
	})
}
