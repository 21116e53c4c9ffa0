package faultmodule

import (
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

const pin = "1234-pin"

// client returns a token whose tool, pkcs11-tool in a process of its own, uses
// the module instead of SoftHSM.
func client(t *testing.T) (*Module, *softhsm.Token) {
	t.Helper()
	token, err := softhsm.NewToken(t.Context(), t.TempDir(), "lab", pin)
	if err != nil {
		t.Fatalf("%v\nrun: %s", err, softhsm.Install)
	}
	m, err := New(t.Context(), t.TempDir(), token.Module)
	if err != nil {
		t.Fatal(err)
	}
	token.Module = m.Path
	return m, token
}

// Without a fault the shim is the real module, and it counts.
func TestPassesOn(t *testing.T) {
	m, token := client(t)
	if err := token.GenerateKey(t.Context(), "EC:prime256v1", "01", "key"); err != nil {
		t.Fatal(err)
	}
	if err := token.PKCS11Tool(t.Context(), "--sign", "--id", "01", "--mechanism", "ECDSA", "--input-file", "/dev/null"); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[Function]uint64{Initialize: 2, Login: 2, GenerateKeyPair: 1, SignInit: 1} {
		if got := m.Calls[f].Count.Load(); got != want {
			t.Errorf("function %d was called %d times, want %d", f, got, want)
		}
	}
	if m.Signatures.Load() != 1 || m.UserLogins.Load() != 2 || m.Open.Load() != 0 || m.Opened.Load() != 2 || m.Closed.Load() != 2 {
		t.Errorf("%d signatures, %d logins, %d sessions opened and %d closed", m.Signatures.Load(), m.UserLogins.Load(), m.Opened.Load(), m.Closed.Load())
	}
	if m.InitFlags.Load() != 0 && m.InitFlags.Load() != 2 {
		t.Errorf("C_Initialize got the flags %d", m.InitFlags.Load())
	}
}

// The counter of wrong PINs is the token's, whatever process presents them.
func TestLocks(t *testing.T) {
	m, token := client(t)
	m.CountPINs("another", 2)
	for _, want := range []string{"CKR_PIN_INCORRECT", "CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"} {
		if err := token.PKCS11Tool(t.Context(), "--list-objects"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the login returned %v, want %s", err, want)
		}
	}
	again, err := Find(m.Path)
	if err != nil || again.Mistakes.Load() != 2 {
		t.Errorf("the script of %s has %d mistakes, %v", m.Path, again.Mistakes.Load(), err)
	}
}

func TestFailAfter(t *testing.T) {
	m, token := client(t)
	m.Calls[OpenSession].FailAfter(1, 0x30, 1)
	for i, want := range []string{"", "CKR_DEVICE_ERROR", ""} {
		err := token.PKCS11Tool(t.Context(), "--list-objects")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("run %d ended with %v, want %q", i, err, want)
		}
	}
}

func TestHold(t *testing.T) {
	m, token := client(t)
	m.Calls[Login].Hold.Store(1)
	done := make(chan error)
	go func() { done <- token.PKCS11Tool(t.Context(), "--list-objects") }()
	if !m.Calls[Login].Wait(1, 30*time.Second) {
		t.Error("C_Login is not held")
	}
	m.Calls[Login].Hold.Store(0)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if m.Calls[Login].Wait(1, 0) {
		t.Error("C_Login is held still")
	}
}

func TestNoRealModule(t *testing.T) {
	if _, err := New(t.Context(), t.TempDir(), "/no/such/module.so"); err == nil {
		t.Error("a module without a real one")
	}
	if _, err := New(t.Context(), "/no/such/directory", "/dev/null"); err == nil {
		t.Error("a module in no directory")
	}
}

func TestTooManyAnswers(t *testing.T) {
	m, _ := client(t)
	for i := range uint(len(m.Answers)) {
		m.Withhold(2, i, 0x12)
		m.Withhold(2, i, 0x12)
	}
	m.Truthful()
	m.Replace(2, 1, "text")
	if m.Answers[0].value.String() != "text" {
		t.Error("Truthful left no place")
	}
}
