package pkcs11signer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

func TestParseURI(t *testing.T) {
	for in, want := range map[string]URI{
		"pkcs11:":                                {},
		" PKCS11:token=a\n":                      {Token: "a"},
		"pkcs11:token=a+b;object=c%20d":          {Token: "a+b", Object: "c d"},
		"pkcs11:token=a&b=c":                     {Token: "a&b=c"},
		"pkcs11:id=%00%fF;type=private":          {ID: "\x00\xff", Type: "private"},
		"pkcs11:id=7777":                         {ID: "7777"},
		"pkcs11:slot-id=017;library-version=3":   {SlotID: "17", LibraryVersion: "3.0"},
		"pkcs11:library-version=2.06":            {LibraryVersion: "2.6"},
		"pkcs11:serial=1;manufacturer=m;model=o": {Serial: "1", Manufacturer: "m", Model: "o"},
		"pkcs11:slot-manufacturer=m;slot-description=d;library-manufacturer=n;library-description=e": {
			SlotManufacturer: "m", SlotDescription: "d", LibraryManufacturer: "n", LibraryDescription: "e"},
		"pkcs11:token=a?module-path=/x/y.so&module-name=y": {Token: "a", ModulePath: "/x/y.so", ModuleName: "y"},
		"pkcs11:?pin-value=a%26b?c":                        {PINValue: "a&b?c"},
		"pkcs11:?pin-source=file:/a/b":                     {PINSource: "/a/b"},
		"pkcs11:?pin-source=file:///a/b":                   {PINSource: "/a/b"},
		"pkcs11:?pin-source=file://localhost/a":            {PINSource: "/a"},
		"pkcs11:?pin-source=/a":                            {PINSource: "/a"},
		"pkcs11:token=a?":                                  {Token: "a"},
	} {
		got, err := ParseURI(in)
		if err != nil || got != want {
			t.Errorf("ParseURI(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

// Each URI holds a PIN that no text may show.
func TestParseURIRefuses(t *testing.T) {
	const pin = "PiN4711x"
	for in, want := range map[string]string{
		"token=a":                               "does not begin with pkcs11:",
		"":                                      "does not begin with pkcs11:",
		"pkcs11:label=x?pin-value=PiN4711x":     `unknown attribute "label"; use object=`,
		"pkcs11:tokn=x":                         `unknown attribute "tokn"; use token=`,
		"pkcs11:slot=1":                         `use slot-id=`,
		"pkcs11:colour=red":                     `unknown attribute "colour"; the attributes of the path are token, serial`,
		"pkcs11:token=a;token=a":                "token twice",
		"pkcs11:token=":                         "token of the key URI is empty",
		"pkcs11:token=a;":                       "not name=value",
		"pkcs11:token":                          "not name=value",
		"pkcs11:token=a b":                      "' ', which is not percent-encoded; write it as %20",
		"pkcs11:token=a/b":                      "write it as %2F",
		"pkcs11:token=ä":                        "write it as %C3",
		"pkcs11:token=%4":                       "two hexadecimal digits",
		"pkcs11:token=%zz":                      "two hexadecimal digits",
		"pkcs11:type=public":                    "write type=private or leave type out",
		"pkcs11:slot-id=0x11":                   "not a decimal number",
		"pkcs11:library-version=two":            "not a version",
		"pkcs11:module-path=/x":                 "", // the slash comes second
		"pkcs11:pin-value=PiN4711x":             `move it after the "?"`,
		"pkcs11:?token=a":                       `move it before the "?"`,
		"pkcs11:?pin-value=PiN4711x#":           "not percent-encoded",
		"pkcs11:?pin-value=%PiN4711x":           "two hexadecimal digits",
		"pkcs11:?pin-value=a&PiN4711x":          "not name=value with a known name",
		"pkcs11:?pin-value=a&PiN4711x=b":        "not name=value with a known name",
		"pkcs11:?pin=PiN4711x":                  "use pin-value=",
		"pkcs11:?pin-source=PiN4711x":           "neither file: nor an absolute path",
		"pkcs11:?pin-source=file:PiN4711x":      "neither file: nor an absolute path",
		"pkcs11:?pin-source=file:":              "neither file: nor an absolute path",
		"pkcs11:?pin-source=file://PiN4711x/x":  "neither file: nor an absolute path",
		"pkcs11:?pin-source=%7Ccat%20PiN4711x":  "a command as pin-source",
		"pkcs11:?pin-source=|cat":               "a command as pin-source",
		"pkcs11:?pin-source=/a&pin-value=PiN47": "both pin-source and pin-value",
	} {
		u, err := ParseURI(in)
		if err == nil || !strings.Contains(err.Error(), want) || fault.CodeOf(err) != "pkcs11_uri_invalid" || u != (URI{}) {
			t.Errorf("ParseURI(%q) = %+v, %v; want pkcs11_uri_invalid with %q", in, u, err, want)
		} else if strings.Contains(err.Error(), pin) {
			t.Errorf("ParseURI(%q): the error shows the PIN", in)
		}
	}
}

func TestURIString(t *testing.T) {
	u, err := ParseURI("pkcs11:object=a%3Bb;id=%01A;token=c+d?pin-value=secret&module-path=/x/y.so")
	if err != nil {
		t.Fatal(err)
	}
	const want = "pkcs11:token=c%2Bd;id=%01%41;object=a%3Bb?module-path=/x/y.so"
	for _, verb := range []string{"%s", "%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(verb, u); got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=a+b;id=%01;object=c?module-path=/x.so&pin-value=1234")
	f.Add("pkcs11:slot-id=1;library-version=2.6?pin-source=file:///x")
	f.Add("pkcs11:;;=%?&=")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		again, err := ParseURI(u.String())
		u.PINSource, u.PINValue = "", ""
		if err != nil || again != u {
			t.Errorf("%q prints as %q, which parses to %#v, %v", s, u, again, err)
		}
	})
}
