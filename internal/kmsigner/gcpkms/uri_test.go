package gcpkms

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

const aKey = "projects/acme-prod/locations/europe-west1/keyRings/release/cryptoKeys/images_2"

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 63)
	for uri, want := range map[string]reference{
		"gcpkms://" + aKey:                                       {key: aKey},
		"gcpkms://" + aKey + "/cryptoKeyVersions/1":              {key: aKey, version: "1"},
		"gcpkms://" + aKey + "/versions/12":                      {key: aKey, version: "12"},
		"gcpkms://" + aKey + "?metadata=true":                    {key: aKey, metadata: true},
		"gcpkms://" + aKey + "/versions/1?metadata=false":        {key: aKey, version: "1"},
		"gcpkms://" + aKey + "?":                                 {key: aKey},
		"gcpkms://" + replace("acme-prod", "example.com:acme-1"): {key: replace("acme-prod", "example.com:acme-1")},
		"gcpkms://" + replace("acme-prod", "123456789012"):       {key: replace("acme-prod", "123456789012")},
		"gcpkms://" + replace("europe-west1", "global"):          {key: replace("europe-west1", "global")},
		"gcpkms://" + replace("images_2", long):                  {key: replace("images_2", long)},
	} {
		if got, err := parse(uri); err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", uri, got, err, want)
		}
	}
}

func replace(from, to string) string { return strings.Replace(aKey, from, to, 1) }

func TestParseRefuses(t *testing.T) {
	const form = "resource name"
	for uri, says := range map[string]string{
		"":                       "gcpkms://",
		"gcpkms:" + aKey:         "gcpkms://",
		"GCPKMS://" + aKey:       "gcpkms://",
		"awskms:///alias/a":      "gcpkms://",
		"gcpkms://":              form,
		"gcpkms:///" + aKey:      "two slashes",
		"gcpkms://" + aKey + "/": form,
		"gcpkms://" + aKey + "/cryptoKeyVersions":                    form,
		"gcpkms://" + aKey + "/cryptoKeyVersions/":                   form,
		"gcpkms://" + aKey + "/versions/0":                           form,
		"gcpkms://" + aKey + "/versions/01":                          form,
		"gcpkms://" + aKey + "/versions/latest":                      form,
		"gcpkms://" + aKey + "/versions/1/":                          form,
		"gcpkms://" + aKey + "/versions/1\n":                         form,
		"gcpkms://" + aKey + "/versions/" + strings.Repeat("9", 11):  form,
		"gcpkms://" + aKey + "/keyVersions/1":                        form,
		"gcpkms://" + aKey + ":asymmetricSign":                       form,
		"gcpkms://" + aKey + "#1":                                    form,
		"gcpkms://" + aKey + "%2f..":                                 form,
		"gcpkms://user@" + aKey:                                      form,
		"gcpkms://v1/" + aKey:                                        form,
		"gcpkms://projects/acme-prod/locations/global/cryptoKeys/a":  form,
		"gcpkms://" + replace("acme-prod", "acme"):                   form, // six characters at least
		"gcpkms://" + replace("acme-prod", "Acme-Prod"):              form,
		"gcpkms://" + replace("acme-prod", ".."):                     form,
		"gcpkms://" + replace("acme-prod", ""):                       form,
		"gcpkms://" + replace("europe-west1", "-"):                   form,
		"gcpkms://" + replace("europe-west1", "Global"):              form,
		"gcpkms://" + replace("release", "a b"):                      form,
		"gcpkms://" + replace("release", "ä"):                        form,
		"gcpkms://" + replace("images_2", strings.Repeat("a", 64)):   form,
		"gcpkms://" + replace("images_2", strings.Repeat("a", 1100)): "too long",
		"gcpkms://" + aKey + "?version=1":                            "query",
		"gcpkms://" + aKey + "?metadata=1":                           "query",
		"gcpkms://" + aKey + "?metadata=true&metadata=true":          "query",
		"gcpkms://" + aKey + "?metadata=%zz":                         "malformed",
	} {
		_, err := parse(uri)
		if fault.CodeOf(err) != "kms_uri_invalid" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), says) {
			t.Errorf("parse(%q): %v, want a configuration fault kms_uri_invalid that says %q", uri, err, says)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("parse(%.40q…): a message of %d bytes", uri, len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"gcpkms://" + aKey, "gcpkms://" + aKey + "/versions/1?metadata=true", "gcpkms://" + replace("acme-prod", "a.b:acme-prod") + "/cryptoKeyVersions/2"} {
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
		if !strings.HasPrefix(uri, "gcpkms://"+ref.key) || strings.ContainsAny(ref.key+ref.version, "?#%@ \n\\") || strings.Contains(ref.key, "..") && !strings.Contains(ref.key, ":") {
			t.Errorf("parse(%q) = %+v", uri, ref)
		}
		again, err := parse(schemeURI + ref.versionName())
		if ref.version != "" && (err != nil || again.key != ref.key || again.version != ref.version) {
			t.Errorf("parse(%q) = %+v, and its name gives %+v, %v", uri, ref, again, err)
		}
	})
}

// FuzzAnswers: no answer, however odd, panics or opens a key without checks.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"name":"x","algorithm":"EC_SIGN_P256_SHA256","pem":"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----","pemCrc32c":"0"}`))
	f.Add([]byte(`{"name":"x","algorithm":"PQ_SIGN_ML_DSA_65","publicKeyFormat":"NIST_PQC","publicKey":{"data":"AA==","crc32cChecksum":"0"}}`))
	f.Add([]byte(`{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"current state is: ","details":[{"violations":[{}]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var out publicKey
		c := &client{creds: &credentials{}}
		if decode(text, &out) == nil {
			if _, err := c.newKey(version{name: out.Name}, out); err == nil && out.PEMCRC32C == nil && out.Raw == nil {
				t.Errorf("%q opens a key without a checksum", text)
			}
		}
		if err := c.explainAnswer(call{operation: "getPublicKey"}, answer(400), text); fault.CodeOf(err) == "internal" {
			t.Errorf("%q has no code", text)
		}
	})
}
