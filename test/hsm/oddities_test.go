package hsm

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
)

// TestTwins: of two tokens with one label neither is taken, and each can be had
// by what the error says.
func TestTwins(t *testing.T) {
	m := softHSM
	text := refuse(t, m, "pkcs11:token="+twin+";object=key", m.options(), fault.Config, "pkcs11_token_ambiguous")
	_, candidates, _ := strings.Cut(text, " match ")
	uris := offered.FindAllString(candidates, -1)[1:]
	if len(uris) != 2 {
		t.Fatalf("%q offers %q, want two", text, uris)
	}
	if a, b := open(t, m, uris[0], m.options()).ID(), open(t, m, uris[1], m.options()).ID(); a == b {
		t.Errorf("%q are one key, %s", uris, a)
	}
}

// TestOtherTools opens keys that were made as users of the module make them.
func TestOtherTools(t *testing.T) {
	t.Run("tpm2_ptool", func(t *testing.T) { // writes --id=01 as text
		key := open(t, tpm2, "pkcs11:token=lab;object=ptool", tpm2.options())
		if !strings.Contains(key.URI(), ";id=%30%31;") {
			t.Errorf("the key is %s", key.URI())
		}
		open(t, tpm2, "pkcs11:token=lab;id=%30%31", tpm2.options())
		refuse(t, tpm2, "pkcs11:token=lab;object=ptool;id=%01", tpm2.options(), fault.Config, "pkcs11_key_not_found")
	})
	t.Run("certutil", func(t *testing.T) { // gives no label
		entries, err := pkcs11signer.List(t.Context(), "pkcs11:token="+nss.label, nss.options())
		if err != nil {
			t.Fatal(err)
		}
		e := entryOf(entries, "")
		if e == nil || e.Type != "P-256" {
			t.Fatalf("the key without a label is listed as %+v", e)
		}
		open(t, nss, e.URI, nss.options())
	})
}

// TestNULs: the model of the TPM's token ends in NULs where the specification
// has spaces, and is selected by what people see.
func TestNULs(t *testing.T) {
	log := filepath.Join(t.TempDir(), "calls")
	spy := []string{"PKCS11SPY=" + locate(tpm2.library), "PKCS11SPY_OUTPUT=" + log}
	if _, err := command(t.Context(), spy, "pkcs11-tool", "--module", locate("pkcs11-spy.so"), "--list-slots"); err != nil {
		t.Fatal(err)
	}
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// The spy prints 16 characters, and fills up on the left what ends early.
	if !regexp.MustCompile(`model: +' +SW   TPM'`).Match(calls) {
		t.Errorf("the model has no NULs any more: %.2000s", calls)
	}
	for _, model := range []string{"SW%20%20%20TPM", "SW%20%20%20TPM%00%00"} {
		open(t, tpm2, "pkcs11:model="+model+";id=%01", tpm2.options())
	}
	for _, c := range pkcs11signer.Examine(t.Context(), tpm2.uri("P-256"), tpm2.options()) {
		if strings.Contains(c.Fact, "\x00") {
			t.Errorf("NULs in %q", c.Fact)
		}
	}
}
