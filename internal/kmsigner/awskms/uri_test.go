package awskms

import (
	"reflect"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

const (
	id  = "1234abcd-12ab-34cd-56ef-1234567890ab"
	mrk = "mrk-1234abcd12ab34cd56ef1234567890ab"
)

func TestParse(t *testing.T) {
	arn := func(partition, region, rest string) string {
		return "arn:" + partition + ":kms:" + region + ":111122223333:" + rest
	}
	for uri, want := range map[string]reference{
		"awskms:///" + id:                                            {key: id},
		"awskms:///" + strings.ToUpper(id):                           {key: strings.ToUpper(id)},
		"awskms:///" + mrk:                                           {key: mrk},
		"awskms:///alias/release":                                    {key: "alias/release"},
		"awskms:///alias/team/release_1-a":                           {key: "alias/team/release_1-a"},
		"awskms:///alias/aws/ebs?region=eu-west-1":                   {key: "alias/aws/ebs", region: "eu-west-1"},
		"awskms:///alias/x?imds=true":                                {key: "alias/x", imds: true},
		"awskms:///alias/x?imds=true&region=ap-southeast-2":          {key: "alias/x", imds: true, region: "ap-southeast-2"},
		"awskms://localhost:4566/" + id:                              {host: "localhost:4566", key: id},
		"awskms://[::1]:4566/" + id:                                  {host: "[::1]:4566", key: id},
		"awskms://vpce-1.kms.eu-west-1.vpce.amazonaws.com/" + id:     {host: "vpce-1.kms.eu-west-1.vpce.amazonaws.com", key: id},
		"awskms:///" + arn("aws", "eu-west-1", "key/"+id):            {key: arn("aws", "eu-west-1", "key/"+id), region: "eu-west-1", inARN: true},
		"awskms:///" + arn("aws", "eu-west-1", "key/"+mrk):           {key: arn("aws", "eu-west-1", "key/"+mrk), region: "eu-west-1", inARN: true},
		"awskms:///" + arn("aws", "eu-west-1", "alias/a/b"):          {key: arn("aws", "eu-west-1", "alias/a/b"), region: "eu-west-1", inARN: true},
		"awskms:///" + arn("aws-cn", "cn-north-1", "key/"+id):        {key: arn("aws-cn", "cn-north-1", "key/"+id), region: "cn-north-1", inARN: true},
		"awskms:///" + arn("aws-us-gov", "us-gov-west-1", "key/"+id): {key: arn("aws-us-gov", "us-gov-west-1", "key/"+id), region: "us-gov-west-1", inARN: true},
		"awskms:///" + arn("aws-iso-b", "us-isob-east-1", "key/"+id): {key: arn("aws-iso-b", "us-isob-east-1", "key/"+id), region: "us-isob-east-1", inARN: true},
		"awskms:///" + arn("aws-eusc", "eusc-de-east-1", "key/"+id):  {key: arn("aws-eusc", "eusc-de-east-1", "key/"+id), region: "eusc-de-east-1", inARN: true},
		"awskms:///" + arn("aws", "eu-west-1", "key/"+id) + "?region=eu-west-1": {
			key: arn("aws", "eu-west-1", "key/"+id), region: "eu-west-1", inARN: true},
	} {
		if got, err := parse(uri); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parse(%q) = %+v, %v; want %+v", uri, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for uri, says := range map[string]string{
		"":                       "awskms://",
		"awskms:":                "awskms://",
		"AWSKMS:///alias/a":      "awskms://",
		"gcpkms://projects/p":    "awskms://",
		"awskms://":              "third slash",
		"awskms:///":             "third slash",
		"awskms://" + id:         "third slash",
		"awskms://alias/release": "third slash",
		"awskms://arn:aws:kms:eu-west-1:111122223333:key/" + id:   "third slash",
		"awskms:////alias/release":                                "not a key ID",
		"awskms:///alias/":                                        "not a key ID",
		"awskms:///alias":                                         "not a key ID",
		"awskms:///release":                                       "not a key ID",
		"awskms:///alias/a b":                                     "not a key ID",
		"awskms:///alias/a%2fb":                                   "not a key ID",
		"awskms:///alias/a#b":                                     "not a key ID",
		"awskms:///alias/ä":                                       "not a key ID",
		"awskms:///alias/a\n":                                     "not a key ID",
		"awskms:///" + id + "/":                                   "not a key ID",
		"awskms:///" + id[:35]:                                    "not a key ID",
		"awskms:///key/" + id:                                     "not a key ID",
		"awskms:///mrk-" + id:                                     "not a key ID",
		"awskms:///arn:aws:kms:eu-west-1:111122223333:" + id:      "not a key ID",
		"awskms:///arn:aws:kms:eu-west-1:11112222333:key/" + id:   "not a key ID",
		"awskms:///arn:aws:s3:eu-west-1:111122223333:key/" + id:   "not a key ID",
		"awskms:///arn:aws2:kms:eu-west-1:111122223333:key/" + id: "not a key ID",
		"awskms:///arn:aws:kms::111122223333:key/" + id:           "not a key ID",
		"awskms://user@host/alias/a":                              "host",
		"awskms://host:port/alias/a":                              "host",
		"awskms://ho st/alias/a":                                  "host",
		"awskms://-host/alias/a":                                  "host",
		"awskms:///alias/a?":                                      "",
		"awskms:///alias/a?region=":                               "query",
		"awskms:///alias/a?region=EU":                             "query",
		"awskms:///alias/a?region=eu-west-1&region=eu-west-1":     "twice",
		"awskms:///alias/a?imds=1":                                "query",
		"awskms:///alias/a?version=1":                             "query",
		"awskms:///alias/a?region=%zz":                            "malformed",
		"awskms:///alias/a?region=a;b":                            "malformed",
		"awskms:///arn:aws:kms:eu-west-1:111122223333:alias/a?region=us-east-1": "contradicts",
		"awskms:///alias/" + strings.Repeat("a", 300):                           "not a key ID",
		"awskms:///alias/" + strings.Repeat("a", 3000):                          "too long",
	} {
		_, err := parse(uri)
		if uri == "awskms:///alias/a?" {
			if err != nil {
				t.Errorf("an empty query: %v", err)
			}
			continue
		}
		if fault.CodeOf(err) != "kms_uri_invalid" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), says) {
			t.Errorf("parse(%q): %v, want a configuration fault kms_uri_invalid that says %q", uri, err, says)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("parse(%.40q…): a message of %d bytes", uri, len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"awskms:///" + id, "awskms://host:1/alias/a?region=eu-west-1&imds=true",
		"awskms:///arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b", "awskms:///" + mrk, "awskms://[::1]/alias/a?"} {
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
		if !strings.HasPrefix(uri, "awskms://"+ref.host+"/"+ref.key) || ref.key == "" || strings.ContainsAny(ref.host+ref.key, "?#%@ \n") {
			t.Errorf("parse(%q) = %+v", uri, ref)
		}
		if ref.inARN && !strings.Contains(ref.key, ":"+ref.region+":") {
			t.Errorf("parse(%q): Region %q is not the ARN's", uri, ref.region)
		}
	})
}
