package hsm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
)

// spying opens a key of SoftHSM through OpenSC's module that writes down every
// call, and returns the names of the calls and attributes.
func spying(t *testing.T, change func(*pkcs11signer.Options)) (calls string, err error) {
	t.Helper()
	opts := softHSM.options()
	opts.Module = locate("pkcs11-spy.so")
	change(&opts)
	before := spyLog(t)
	key, err := pkcs11signer.Open(t.Context(), "pkcs11:token="+spied+";object=key", opts)
	if err == nil {
		key.Close()
	}
	return strings.TrimPrefix(spyLog(t), before), err
}

func spyLog(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("PKCS11SPY_OUTPUT"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// setSpy leads the spy to SoftHSM. It reads its environment when it is loaded.
func setSpy(m *module) error {
	if err := os.Setenv("PKCS11SPY", locate(m.library)); err != nil {
		return err
	}
	return os.Setenv("PKCS11SPY_OUTPUT", filepath.Join(m.dir, "calls"))
}

// TestOffReadsNothing: the policy off asks the token nothing, the others ask
// all five questions.
func TestOffReadsNothing(t *testing.T) {
	for policy, want := range map[pkcs11signer.KeyPolicy]bool{pkcs11signer.Off: false, pkcs11signer.Warn: true, pkcs11signer.Require: true} {
		calls, err := spying(t, func(o *pkcs11signer.Options) { o.KeyPolicy = policy })
		if err != nil {
			t.Fatal(err)
		}
		for _, attribute := range []string{"CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"} {
			if strings.Contains(calls, attribute) != want {
				t.Errorf("under %s: %s was asked for: want %v", policy, attribute, want)
			}
		}
	}
}

// TestLoginOnce: a wrong PIN reaches the token once, however often it is given,
// and nothing ever logs out, writes or ends the module.
func TestLoginOnce(t *testing.T) {
	logins := 0
	for range 3 {
		calls, err := spying(t, func(o *pkcs11signer.Options) { o.PIN = softHSM.wrong })
		if fault.CodeOf(err) != "pkcs11_pin_incorrect" {
			t.Fatal(err)
		}
		logins += strings.Count(calls, ": C_Login\n")
	}
	if logins != 1 {
		t.Errorf("the token heard %d logins with a wrong PIN, want 1", logins)
	}
	calls, err := spying(t, func(*pkcs11signer.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(calls, ": C_Login\n"); n != 1 {
		t.Errorf("a good login took %d calls, want 1", n)
	}
	for _, never := range []string{"C_Logout", "C_Finalize", "C_SetPIN", "C_CloseAllSessions"} {
		if strings.Contains(spyLog(t), never) {
			t.Errorf("%s was called", never)
		}
	}
}
