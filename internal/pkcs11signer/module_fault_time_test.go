//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

const patience = 20 * time.Second // for what should take no time at all

// timesOut checks that something ends with its context, and says so.
func timesOut(t *testing.T, ctx context.Context, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		check(t, err, fault.Undecided, "pkcs11_timeout", what, "did not finish in time")
		if ctx.Err() == nil {
			t.Error("it ended before its time")
		}
	case <-time.After(patience):
		t.Fatal("it did not end with its context")
	}
}

// held has a call wait in the module, ends the context of f meanwhile, and lets
// the call go on once f has returned.
func held(t *testing.T, m *fm.Module, call fm.Function, what string, f func(context.Context) error) {
	t.Helper()
	m.Calls[call].Hold.Store(1)
	defer m.Calls[call].Hold.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	if !m.Calls[call].Wait(1, patience) {
		t.Errorf("no call of function %d was held", call)
	}
	cancel()
	timesOut(t, ctx, what, done)
}

// Each call that Open makes can block.
func TestOpenBlocks(t *testing.T) {
	for call, what := range map[fm.Function]string{
		fm.GetFunctionList: "loading the PKCS#11 module /", fm.Initialize: "loading the PKCS#11 module /", fm.GetInfo: "loading the PKCS#11 module /",
		fm.GetSlotList: "opening the key pkcs11:token=lab;object=p256", fm.GetTokenInfo: "opening the key", fm.OpenSession: "opening the key",
		fm.GetSessionInfo: "opening the key", fm.Login: "opening the key", fm.FindObjectsInit: "opening the key", fm.FindObjects: "opening the key",
		fm.FindObjectsFinal: "opening the key", fm.GetAttributeValue: "opening the key",
	} {
		m := faultModule(t)
		held(t, m, call, what, func(ctx context.Context) error {
			_, err := Open(ctx, anyKey, with(m))
			return err
		})
		works(t, openWith(t, anyKey, with(m)))
		if n := m.Calls[fm.Initialize].Count.Load(); n != 1 {
			t.Errorf("C_Initialize was called %d times", n)
		}
	}
}

// Each call that Sign makes can block, the first time and while connecting anew.
func TestSignBlocks(t *testing.T) {
	for call, dead := range map[fm.Function]bool{
		fm.SignInit: false, fm.Login: false, fm.GetTokenInfo: false, fm.Sign: false,
		fm.GetSlotList: true, fm.OpenSession: true, fm.GetSessionInfo: true, fm.FindObjectsInit: true, fm.FindObjects: true,
		fm.FindObjectsFinal: true, fm.GetAttributeValue: true,
	} {
		m := faultModule(t)
		k := openWith(t, "pkcs11:token=lab;object=always", with(m))
		if dead {
			m.Die()
		}
		held(t, m, call, "signing with pkcs11:serial=", func(ctx context.Context) error { return verified(ctx, k) })
		works(t, k)
	}
}

// A call that is left behind keeps its session until it ends; when all have
// been left behind, a signature waits for one, as long as its context lasts.
func TestAllSessionsBlock(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	m.Calls[fm.Sign].Hold.Store(1)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	done := make(chan error)
	for range 2 * mostSessions {
		go func() { done <- verified(ctx, k) }()
	}
	for range 2 * mostSessions {
		timesOut(t, ctx, "signing with pkcs11:serial=", done)
	}
	if held := m.Calls[fm.Sign].Held.Load(); held != mostSessions || m.Open.Load() != mostSessions {
		t.Errorf("%d calls block in %d sessions, want %d", held, m.Open.Load(), mostSessions)
	}
	m.Calls[fm.Sign].Hold.Store(0)
	works(t, k)
}

// The device dies while a call blocks.
func TestDiesWhileBlocked(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for _, call := range []fm.Function{fm.SignInit, fm.Sign} {
		m.Calls[call].Hold.Store(1)
		done := make(chan error)
		go func() { done <- verified(t.Context(), k) }()
		m.Calls[call].Wait(1, patience)
		m.Die()
		m.Calls[call].Hold.Store(0)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A slow device is not a stuck one.
func TestSlowDevice(t *testing.T) {
	m := faultModule(t)
	for _, call := range []fm.Function{fm.Initialize, fm.OpenSession, fm.Login, fm.Sign} {
		m.Calls[call].Delay.Store(50_000)
	}
	works(t, openWith(t, anyKey, with(m)))
}

// Close does not wait for a device for ever.
func TestCloseBlocks(t *testing.T) {
	t.Parallel() // it takes closeTime
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	m.Calls[fm.CloseSession].Hold.Store(1)
	check(t, k.Close(), fault.Undecided, "pkcs11_timeout", "closing the sessions of pkcs11:serial=")
	_, err := k.Sign(t.Context(), signer.ECDSASHA256, nil)
	check(t, err, fault.Undecided, "pkcs11_device", "closed")
	m.Calls[fm.CloseSession].Hold.Store(0)
}
