//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

// faultModule makes a module whose faults are this test's alone. When the test
// has ended and its keys are closed, no session may be left, and no two calls
// may ever have been in one session at the same time.
func faultModule(t *testing.T) *fm.Module {
	t.Helper()
	m, err := fm.New(t.Context(), t.TempDir(), lab.Module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for i := range m.Calls {
			m.Calls[i].Hold.Store(0)
		}
		settled(t, m)
		if n := m.Overlaps.Load(); n != 0 {
			t.Errorf("%d calls were made in sessions that were in use", n)
		}
	})
	return m
}

// settled checks that every session is closed. A call that was left behind
// closes its session when it ends.
func settled(t *testing.T, m *fm.Module) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); m.Open.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d of %d sessions were left open", m.Open.Load(), m.Opened.Load())
			return
		}
	}
	if m.Opened.Load() != m.Closed.Load()+m.Died.Load() {
		t.Errorf("%d sessions were opened, %d closed and %d lost", m.Opened.Load(), m.Closed.Load(), m.Died.Load())
	}
}

func with(m *fm.Module) Options { return Options{Module: m.Path, PIN: labPIN} }

// verified makes one signature and verifies it.
func verified(ctx context.Context, k signer.Key) error {
	sig, err := k.Sign(ctx, signer.ECDSASHA256, []byte("message"))
	if err != nil {
		return err
	}
	return signer.ECDSASHA256.Verify(k.Public(), []byte("message"), sig.Bytes)
}

// works checks that the key signs.
func works(t *testing.T, k signer.Key) {
	t.Helper()
	if err := verified(t.Context(), k); err != nil {
		t.Error(err)
	}
}

// transient checks for a fault that the guard retries.
func transient(t *testing.T, err error, texts ...string) {
	t.Helper()
	if check(t, err, fault.Undecided, "pkcs11_device", texts...); !fault.IsTransient(err) {
		t.Errorf("%v is not transient", err)
	}
}

func TestFaultModuleWithoutFaults(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	works(t, k)
	if m.UserLogins.Load() != 1 || m.Opened.Load() != 1 || m.Signatures.Load() != 1 {
		t.Errorf("%d logins, %d sessions, %d signatures; want one each", m.UserLogins.Load(), m.Opened.Load(), m.Signatures.Load())
	}
	const osLocking = 2 // CKF_OS_LOCKING_OK
	if m.InitFlags.Load() != osLocking || m.Calls[fm.Initialize].Count.Load() != 1 {
		t.Errorf("%d calls of C_Initialize, flags %d", m.Calls[fm.Initialize].Count.Load(), m.InitFlags.Load())
	}
	for f, name := range map[fm.Function]string{fm.Logout: "C_Logout", fm.Finalize: "C_Finalize", fm.CloseAllSessions: "C_CloseAllSessions"} {
		if n := m.Calls[f].Count.Load(); n != 0 {
			t.Errorf("%s was called %d times, and other users of the token would not survive that", name, n)
		}
	}
}

// A module whose function list cannot be used does not crash the process, and
// may be repaired.
func TestFunctionList(t *testing.T) {
	m := faultModule(t)
	refused := func(text string) {
		t.Helper()
		refuse(t, anyKey, with(m), fault.Config, "pkcs11_module_unusable", m.Path, text)
	}
	m.Calls[fm.GetFunctionList].Fail(pkcs11.CKR_GENERAL_ERROR, 1)
	refused("C_GetFunctionList returned CKR_GENERAL_ERROR")
	m.NoList.Store(1)
	refused("C_GetFunctionList returned no list")
	m.NoList.Store(0)
	works(t, openWith(t, anyKey, with(m)))
}

// Every function that signing needs is looked for before it is called.
func TestFunctionListWithHoles(t *testing.T) {
	for _, f := range []fm.Function{
		fm.Initialize, fm.GetInfo, fm.GetSlotList, fm.GetSlotInfo, fm.GetTokenInfo, fm.OpenSession, fm.CloseSession, fm.GetSessionInfo,
		fm.Login, fm.GetAttributeValue, fm.FindObjectsInit, fm.FindObjects, fm.FindObjectsFinal, fm.SignInit, fm.Sign,
	} {
		m := faultModule(t)
		m.Hole(f)
		refuse(t, anyKey, with(m), fault.Config, "pkcs11_module_unusable", "its function list lacks functions that signing needs")
	}
	m := faultModule(t)
	m.Hole(fm.Finalize)
	works(t, openWith(t, anyKey, with(m)))
}

func TestModuleDoesNotStart(t *testing.T) {
	m := faultModule(t)
	m.Calls[fm.Initialize].Fail(pkcs11.CKR_DEVICE_ERROR, 1)
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "does not start: C_Initialize returned CKR_DEVICE_ERROR", m.Path)
	m.Calls[fm.Initialize].Fail(pkcs11.CKR_ARGUMENTS_BAD, 1)
	_, err := Open(t.Context(), anyKey, with(m))
	check(t, err, fault.Config, "pkcs11_module_invalid", "CKR_ARGUMENTS_BAD", "pkcs11-init-args")
	m.Calls[fm.GetInfo].Fail(pkcs11.CKR_GENERAL_ERROR, 1)
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "does not start: C_GetInfo returned CKR_GENERAL_ERROR")
	works(t, openWith(t, anyKey, with(m))) // that was initialised before C_GetInfo failed
}

func TestInitArgs(t *testing.T) {
	m := faultModule(t)
	opts := with(m)
	opts.InitArgs = "configdir='sql:/d' flags=readWrite"
	works(t, openWith(t, anyKey, opts))
	if got := m.InitArgs.String(); got != opts.InitArgs {
		t.Errorf("C_Initialize got %q, want %q", got, opts.InitArgs)
	}
	works(t, openWith(t, anyKey, opts))
	refuse(t, anyKey, with(m), fault.Config, "pkcs11_module_invalid", "another argument")
}

// p11-kit's client has no other way to say that its server is away.
func TestNotConnected(t *testing.T) {
	m := faultModule(t)
	m.Description.Set("p11-kit (no connection)")
	m.Removed.Store(1)
	refuse(t, anyKey, with(m), fault.Config, "pkcs11_socket_unreachable", "not connected to a p11-kit server")
}
