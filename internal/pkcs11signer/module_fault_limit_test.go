//go:build linux && cgo

package pkcs11signer

import (
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
)

// A token with fewer sessions than it says, or than anyone could count.
func TestSessionLimit(t *testing.T) {
	for _, says := range []uint64{0, 1<<64 - 1, 1<<64 - 2, 3, 100} {
		for limit := uint64(1); limit <= 3; limit++ {
			m := faultModule(t)
			m.MaxSessions.Store(says)
			m.SessionLimit.Store(limit)
			m.Calls[fm.SignInit].Delay.Store(1000)
			k := openWith(t, anyKey, with(m))
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() { works(t, k) })
			}
			all.Wait()
			if m.Most.Load() > limit || m.UserLogins.Load() != 1 {
				t.Errorf("%d sessions at once, %d logins", m.Most.Load(), m.UserLogins.Load())
			}
			if asked := m.Calls[fm.OpenSession].Count.Load(); asked > mostSessions {
				t.Errorf("a token of %d sessions was asked for %d", limit, asked)
			}
		}
	}
}

// What a token says about its sessions is kept to.
func TestSessionLimitStated(t *testing.T) {
	m := faultModule(t)
	m.MaxSessions.Store(2)
	m.Calls[fm.SignInit].Delay.Store(1000)
	k := openWith(t, anyKey, with(m))
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() { works(t, k) })
	}
	all.Wait()
	if m.Calls[fm.OpenSession].Count.Load() != 2 {
		t.Errorf("%d sessions were asked for, want 2", m.Calls[fm.OpenSession].Count.Load())
	}
}

// A token of few sessions that die: there is never one too many.
func TestSessionLimitAndDeath(t *testing.T) {
	for limit := uint64(1); limit <= 3; limit++ {
		m := faultModule(t)
		m.MaxSessions.Store(limit)
		m.SessionLimit.Store(limit)
		k := openWith(t, anyKey, with(m))
		for range 5 {
			m.Die()
			for range limit {
				works(t, k)
			}
		}
		if m.Most.Load() > limit {
			t.Errorf("%d sessions at once, want %d", m.Most.Load(), limit)
		}
	}
}

// No session is left for us at all, and then there is one.
func TestNoSessionLeft(t *testing.T) {
	m := faultModule(t)
	m.SessionLimit.Store(1)
	first := openWith(t, anyKey, with(m))
	_, err := Open(t.Context(), "pkcs11:token=lab;object=p384", with(m))
	transient(t, err, "C_OpenSession returned CKR_SESSION_COUNT", "lab")
	first.Close()
	openWith(t, "pkcs11:token=lab;object=p384", with(m))
}

func TestReadOnlyToken(t *testing.T) {
	m := faultModule(t)
	m.RefuseReadWrite.Store(pkcs11.CKR_TOKEN_WRITE_PROTECTED)
	m.SetFlags.Store(pkcs11.CKF_WRITE_PROTECTED)
	works(t, openWith(t, anyKey, with(m)))
	if n := m.Calls[fm.OpenSession].Count.Load(); n != 1 {
		t.Errorf("C_OpenSession was called %d times", n)
	}
	m.RefuseReadOnly.Store(pkcs11.CKR_SESSION_PARALLEL_NOT_SUPPORTED)
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "C_OpenSession returned CKR_TOKEN_WRITE_PROTECTED")
	m.RefuseReadWrite.Store(0x80000123)
	refuse(t, anyKey, with(m), fault.Undecided, "pkcs11_device", "C_OpenSession returned the vendor's code 0x80000123")
}

// Every later session is read-write at once.
func TestReadWriteToken(t *testing.T) {
	for _, rv := range []uint64{pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_FUNCTION_NOT_SUPPORTED, pkcs11.CKR_SESSION_READ_WRITE_SO_EXISTS, 0x80000123} {
		m := faultModule(t)
		m.RefuseReadOnly.Store(rv)
		m.Calls[fm.SignInit].Delay.Store(1000)
		k := openWith(t, anyKey, with(m))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { works(t, k) })
		}
		all.Wait()
		if asked, got := m.Calls[fm.OpenSession].Count.Load(), m.Opened.Load(); asked != got+1 {
			t.Errorf("%d sessions were asked for, %d opened; want one more", asked, got)
		}
		m.Die()
		works(t, k)
	}
}

func TestPoolSize(t *testing.T) {
	for limit, want := range map[uint]int{0: 4, 1: 1, 3: 3, 4: 4, 100: 4, 1<<64 - 1: 4, 1<<64 - 2: 4} {
		if got := poolSize(limit); got != want {
			t.Errorf("poolSize(%d) = %d, want %d", limit, got, want)
		}
	}
}
