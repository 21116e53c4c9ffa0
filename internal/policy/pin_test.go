package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
)

func keyText(t testing.TB, name string) string {
	t.Helper()
	text, err := readKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPin: the key is written, and nothing else changes.
func TestPin(t *testing.T) {
	var out strings.Builder
	key := keyText(t, "b.pub")
	for _, f := range archive(t, "pin.txtar") {
		pinned, err := policy.Pin(f.Data, "release", key)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		fmt.Fprintf(&out, "-- %s --\n%s", f.Name, pinned)
		again, err := policy.Pin(pinned, "release", key)
		if err != nil || string(again) != string(pinned) {
			t.Errorf("%s: it changes when it is written again: %v\n%s", f.Name, err, again)
		}
		if strings.Count(string(f.Data), "#") != strings.Count(string(pinned), "#") {
			t.Errorf("%s: a comment is lost:\n%s", f.Name, pinned)
		}
	}
	golden(t, "pin.golden", out.String())
}

// TestPinLoads: a policy with every key written into it needs no files.
func TestPinLoads(t *testing.T) {
	for _, f := range archive(t, "good.txtar") {
		before, err := load(f.Name, f.Data)
		if err != nil {
			t.Fatal(err)
		}
		text := f.Data
		for _, k := range before.Keys {
			if text, err = policy.Pin(text, k.Name, keyText(t, k.Source)); err != nil {
				t.Fatal(f.Name, err)
			}
		}
		after, err := policy.Load(policy.Source{Name: f.Name, Text: text, Now: now})
		if err != nil {
			t.Errorf("%s: %v\n%s", f.Name, policy.Problems(err), text)
			continue
		}
		for i, k := range after.Keys {
			if k.Fingerprint != before.Keys[i].Fingerprint || k.Source != "inline" || k.NotAfter != before.Keys[i].NotAfter {
				t.Errorf("%s: %+v became %+v", f.Name, before.Keys[i], k)
			}
		}
	}
}

func TestPinRefuses(t *testing.T) {
	key := keyText(t, "b.pub")
	for name, tc := range map[string]struct{ text, name, key, code string }{
		"no YAML":        {"{", "release", key, "policy_invalid"},
		"a list":         {"[]", "release", key, "policy_invalid"},
		"no keys":        {"version: 1", "release", key, "policy_invalid"},
		"keys is a list": {"keys: [a]", "release", key, "policy_invalid"},
		"a key of text":  {"keys: {release: a.pub}", "release", key, "policy_invalid"},
		"a bad name":     {minimal, "two words", key, "policy_invalid"},
		"two keys":       {minimal, "release", keyText(t, "two.pub"), "trusted_key_invalid"},
		"a private key":  {minimal, "release", keyText(t, "private.pem"), "trusted_key_invalid"},
		"no key":         {minimal, "release", "", "trusted_key_invalid"},
	} {
		if out, err := policy.Pin([]byte(tc.text), tc.name, tc.key); fault.CodeOf(err) != tc.code || out != nil {
			t.Errorf("%s: %s %v", name, out, err)
		}
	}
}

// FuzzPin: what is written can be read, and means what it meant.
func FuzzPin(f *testing.F) {
	for _, name := range []string{"pin.txtar", "good.txtar"} {
		for _, file := range archive(f, name) {
			f.Add(file.Data)
		}
	}
	key := keyText(f, "b.pub")
	f.Fuzz(func(t *testing.T, text []byte) {
		pinned, err := policy.Pin(text, "release", key)
		if err != nil {
			return
		}
		if again, err := policy.Pin(pinned, "release", key); err != nil || string(again) != string(pinned) {
			t.Errorf("%q became %q, and then %q (%v)", text, pinned, again, err)
		}
	})
}
