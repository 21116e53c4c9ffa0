//go:build linux && cgo

package pkcs11signer

import (
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
)

// lost are the answers that a new session may cure.
var lost = []uint{
	pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED,
	pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID,
}

// One lost session costs nothing but its replacement, wherever in a signature it
// is lost; two in one signature are the caller's to retry.
func TestSessionLost(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for call, name := range map[fm.Function]string{fm.SignInit: "C_SignInit", fm.Sign: "C_Sign"} {
		for skip := range uint64(call - fm.SignInit + 1) { // C_Sign is called for the size first
			for _, rv := range lost {
				m.Calls[call].FailAfter(skip, rv, 1)
				works(t, k)
				m.Calls[call].FailAfter(0, rv, 2)
				transient(t, verified(t.Context(), k), name+" returned "+rvName(pkcs11.Error(rv)))
				works(t, k)
			}
		}
	}
	if got, want := m.UserLogins.Load(), uint64(1+3*3*len(lost)); got != want {
		t.Errorf("%d logins, want one at the start and one for each loss, %d", got, want)
	}
}

// The same on the way back: what fails while connecting anew is a lost token.
func TestReconnectFails(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for _, call := range []fm.Function{
		fm.GetSlotList, fm.GetTokenInfo, fm.OpenSession, fm.GetSessionInfo, fm.Login, fm.FindObjectsInit, fm.FindObjects,
		fm.FindObjectsFinal, fm.GetAttributeValue,
	} {
		m.Die()
		m.Calls[call].Fail(pkcs11.CKR_DEVICE_ERROR, fm.Always)
		transient(t, verified(t.Context(), k), "was lost (C_SignInit returned CKR_SESSION_HANDLE_INVALID) and cannot be opened again", "CKR_DEVICE_ERROR")
		m.Calls[call].Fail(0, 0)
		works(t, k)
	}
}

// While opening there is no second try: the caller has the choice.
func TestOpenFails(t *testing.T) {
	m := faultModule(t)
	openWith(t, anyKey, with(m)).Close() // starts the module
	for _, call := range []fm.Function{
		fm.GetSlotList, fm.OpenSession, fm.GetSessionInfo, fm.Login, fm.FindObjectsInit, fm.FindObjects,
		fm.FindObjectsFinal, fm.GetAttributeValue,
	} {
		m.Calls[call].Fail(pkcs11.CKR_DEVICE_ERROR, 1)
		_, err := Open(t.Context(), anyKey, with(m))
		transient(t, err, "CKR_DEVICE_ERROR")
		settled(t, m)
	}
	m.Calls[fm.CloseSession].Fail(pkcs11.CKR_FUNCTION_FAILED, 1)
	k := openWith(t, anyKey, with(m))
	if err := k.Close(); err != nil {
		t.Error(err) // nothing follows from a session that does not close
	}
	m.Die()
	works(t, openWith(t, anyKey, with(m)))
}

// The device loses all sessions and the login at once, while many sign: one
// login brings them all back, and no signature fails.
func TestAllSessionsDie(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for round := range uint64(5) {
		m.Die()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { works(t, k) })
		}
		all.Wait()
		if got := m.UserLogins.Load(); got != round+2 {
			t.Errorf("after %d losses there were %d logins, want one at the start and one for each", round+1, got)
		}
	}
	if m.Most.Load() > mostSessions+1 {
		t.Errorf("%d sessions at once, want %d, and one more while connecting", m.Most.Load(), mostSessions)
	}
}

// The device loses sessions that nobody uses at the moment: the next signature
// meets one of them at most.
func TestIdleSessionsDie(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for range 10 {
		m.Calls[fm.Sign].Delay.Store(2000)
		var all sync.WaitGroup
		for range mostSessions {
			all.Go(func() { works(t, k) })
		}
		all.Wait()
		m.Calls[fm.Sign].Delay.Store(0)
		m.Die()
		works(t, k)
	}
}

// Somebody else in this process logs out: the sessions live, the login is gone.
func TestLoggedOutByAnother(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for range 3 {
		m.Logouts.Add(1)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { works(t, k) })
		}
		all.Wait()
	}
	if got := m.UserLogins.Load(); got != 4 {
		t.Errorf("%d logins, want 4", got)
	}
}

// What C_SignInit refuses is no reason to give the session up: the last one takes
// the login along, which somebody may have to enter at the device again.
func TestRefusalKeepsSession(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for rv, code := range map[uint]string{
		pkcs11.CKR_MECHANISM_INVALID: "algorithm_unsupported", pkcs11.CKR_MECHANISM_PARAM_INVALID: "algorithm_unsupported",
		pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED: "pkcs11_key_unusable",
	} {
		m.Calls[fm.SignInit].Fail(rv, 1)
		check(t, verified(t.Context(), k), fault.Config, code)
		works(t, k)
	}
	if m.Opened.Load() != 1 || m.UserLogins.Load() != 1 {
		t.Errorf("%d sessions and %d logins, want one", m.Opened.Load(), m.UserLogins.Load())
	}
}

// An answer that nobody expects ends the session, since nobody knows its state.
func TestOddAnswerEndsSession(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	m.Calls[fm.Sign].Fail(pkcs11.CKR_ARGUMENTS_BAD, 1)
	check(t, verified(t.Context(), k), fault.Undecided, "pkcs11_device", "C_Sign returned CKR_ARGUMENTS_BAD")
	if m.Closed.Load() != 1 {
		t.Errorf("%d sessions were closed", m.Closed.Load())
	}
	works(t, k)
}

// Close comes while sessions are in use and while the token is lost.
func TestCloseDuringSign(t *testing.T) {
	m := faultModule(t)
	for range 10 {
		k := openWith(t, anyKey, with(m))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := verified(t.Context(), k); err != nil {
					check(t, err, fault.Undecided, "pkcs11_device", "closed")
				}
			})
		}
		m.Die()
		time.Sleep(time.Millisecond)
		k.Close()
		all.Wait()
		settled(t, m)
	}
}
