//go:build linux && cgo

package pkcs11signer

import (
	"strings"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// counting makes a module whose token is locked by the third wrong PIN.
func counting(t *testing.T) *fm.Module {
	m := faultModule(t)
	m.CountPINs(labPIN, 3)
	return m
}

// presented checks how often a PIN reached the token, and how many were wrong
// since the last right one.
func presented(t *testing.T, m *fm.Module, logins, mistakes uint64) {
	t.Helper()
	if m.UserLogins.Load()+m.ContextLogins.Load() != logins || m.Mistakes.Load() != mistakes {
		t.Errorf("a PIN was presented %d times for the user and %d times for an operation, and the token counts %d mistakes; want %d and %d",
			m.UserLogins.Load(), m.ContextLogins.Load(), m.Mistakes.Load(), logins, mistakes)
	}
}

// A wrong PIN is presented once in a process, however many keys, goroutines and
// attempts there are.
func TestWrongPINCostsOneTry(t *testing.T) {
	m := counting(t)
	wrong := Options{Module: m.Path, PIN: wrongPIN}
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			uri := "pkcs11:token=lab;object=" + []string{"p256", "p384", "p521", "rsa3072", "ed25519", "always", "nosuch"}[i%7]
			for range 3 {
				_, err := Open(t.Context(), uri, wrong)
				check(t, err, fault.Config, "pkcs11_pin_incorrect", "CKR_PIN_INCORRECT", "tried once")
			}
		})
	}
	all.Wait()
	presented(t, m, 1, 1)

	var warnings []string
	right := with(m)
	right.Warn = func(s string) { warnings = append(warnings, s) }
	k := openWith(t, anyKey, right)
	works(t, k)
	k.Close() // else the next one finds the user logged in
	presented(t, m, 2, 0)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "a wrong PIN was used") {
		t.Errorf("warnings %q", warnings)
	}
	refuse(t, anyKey, wrong, fault.Config, "pkcs11_pin_incorrect")
	presented(t, m, 2, 0)
}

// The PIN was changed on the token while the process runs, and the login is
// lost: the old one is presented once.
func TestPINChanges(t *testing.T) {
	m := counting(t)
	k := openWith(t, anyKey, with(m))
	g, err := signer.Guard(k, retry.Policy{Attempts: 5})
	if err != nil {
		t.Fatal(err)
	}
	m.PIN.Set("another")
	works(t, k) // is logged in
	m.Die()
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			_, err := g.Sign(t.Context(), signer.ECDSASHA256, nil)
			check(t, err, fault.Config, "pkcs11_pin_incorrect")
		})
	}
	all.Wait()
	presented(t, m, 2, 1)
}

func TestPINPerSignature(t *testing.T) {
	m := counting(t)
	k := openWith(t, "pkcs11:token=lab;object=always", with(m))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { works(t, k) })
	}
	all.Wait()
	presented(t, m, 17, 0)
	if m.ContextLogins.Load() != 16 || m.Most.Load() != 1 {
		t.Errorf("%d logins for an operation in %d sessions, want 16 in one", m.ContextLogins.Load(), m.Most.Load())
	}
	m.Die()
	works(t, k)
	presented(t, m, 19, 0)

	m.Mistakes.Store(2) // those of somebody else
	check(t, verified(t.Context(), k), fault.Config, "pkcs11_pin_locked", "one more mistake")
	presented(t, m, 19, 2)
	m.Mistakes.Store(0)
	m.PIN.Set("another")
	for range 3 {
		check(t, verified(t.Context(), k), fault.Config, "pkcs11_pin_incorrect")
	}
	presented(t, m, 20, 1)
}

// Somebody enters the PIN at the device, so it gets none from here.
func TestPINPad(t *testing.T) {
	m := counting(t)
	m.PINPad.Store(1)
	opts := Options{Module: m.Path}
	works(t, openWith(t, anyKey, opts))
	k := openWith(t, "pkcs11:token=lab;object=always", opts) // finds the user logged in
	works(t, k)
	presented(t, m, 2, 0)
	if m.EmptyPINs.Load() != 2 {
		t.Errorf("of 2 PINs %d were empty", m.EmptyPINs.Load())
	}
	m.Calls[fm.Login].Fail(pkcs11.CKR_FUNCTION_CANCELED, 1)
	check(t, verified(t.Context(), k), fault.Undecided, "pkcs11_device", "was cancelled at the device")
}

func TestNoLoginRequired(t *testing.T) {
	m := faultModule(t)
	m.PIN.Set(labPIN)
	m.LoginFree.Store(1)
	for _, opts := range []Options{{Module: m.Path}, with(m), {Module: m.Path, PIN: wrongPIN}} {
		works(t, openWith(t, anyKey, opts))
	}
	if n := m.Calls[fm.Login].Count.Load(); n != 0 {
		t.Errorf("C_Login was called %d times", n)
	}
}

// What a token says about a PIN is not asked again; what says nothing about the
// PIN is.
func TestLoginFails(t *testing.T) {
	for rv, code := range map[uint]string{
		pkcs11.CKR_PIN_INCORRECT: "pkcs11_pin_incorrect", pkcs11.CKR_PIN_INVALID: "pkcs11_pin_incorrect", pkcs11.CKR_PIN_LEN_RANGE: "pkcs11_pin_incorrect",
		pkcs11.CKR_PIN_LOCKED: "pkcs11_pin_locked", pkcs11.CKR_PIN_EXPIRED: "pkcs11_pin_unusable", pkcs11.CKR_USER_PIN_NOT_INITIALIZED: "pkcs11_pin_unusable",
	} {
		m := faultModule(t)
		m.Calls[fm.Login].Fail(rv, 1)
		for range 3 {
			refuse(t, anyKey, with(m), fault.Config, code, "pkcs11:token=lab;serial=")
		}
		if n := m.Calls[fm.Login].Count.Load(); n != 1 {
			t.Errorf("after %s the PIN was presented %d times", rvName(pkcs11.Error(rv)), n)
		}
	}
	// What is about the device says nothing about the PIN; anything else may be a
	// wrong PIN by another name, unless the token has taken it before.
	for _, rv := range []uint{pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_USER_TOO_MANY_TYPES, 0x80000001} {
		m := faultModule(t)
		m.Calls[fm.Login].Fail(rv, 1)
		for range 3 {
			if rv != pkcs11.CKR_DEVICE_ERROR || m.Calls[fm.Login].Count.Load() == 0 {
				refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "C_Login returned "+rvName(pkcs11.Error(rv)))
			}
		}
		if n := m.Calls[fm.Login].Count.Load(); n != 1 {
			t.Errorf("after %s the PIN was presented %d times", rvName(pkcs11.Error(rv)), n)
		}
	}
	m := faultModule(t)
	for range 3 {
		openWith(t, anyKey, with(m)).Close() // takes the login away, too
		m.Calls[fm.Login].Fail(pkcs11.CKR_GENERAL_ERROR, 1)
		refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "C_Login returned CKR_GENERAL_ERROR")
	}
}

// Another user of the module in this process logs in between our look and our
// login.
func TestAlreadyLoggedIn(t *testing.T) {
	m := faultModule(t)
	m.PIN.Set(labPIN)
	m.LoginFree.Store(1)
	m.SetFlags.Store(pkcs11.CKF_LOGIN_REQUIRED)
	m.Calls[fm.Login].Fail(pkcs11.CKR_USER_ALREADY_LOGGED_IN, 1)
	works(t, openWith(t, anyKey, with(m)))
	if n := m.Calls[fm.Login].Count.Load(); n != 1 {
		t.Errorf("C_Login was called %d times", n)
	}
}
