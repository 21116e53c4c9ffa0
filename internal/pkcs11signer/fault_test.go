//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// faulty is SoftHSM with faults put in between. A hook that returns an error
// replaces the call.
type faulty struct {
	cryptoki
	set, clear  uint // token flags
	onToken     func(slot uint) error
	onOpen      func(flags uint) error
	onLogin     func(user uint, pin string) error
	onInit      func() error
	onSign      func() error
	logins      atomic.Int32
	maxSessions uint
	noSlots     bool
}

func (f *faulty) GetSlotList(present bool) ([]uint, error) {
	if f.noSlots {
		return nil, nil
	}
	return f.cryptoki.GetSlotList(present)
}

func (f *faulty) GetTokenInfo(slot uint) (pkcs11.TokenInfo, error) {
	info, err := f.cryptoki.GetTokenInfo(slot)
	info.Flags = info.Flags&^f.clear | f.set
	if f.maxSessions != 0 {
		info.MaxSessionCount = f.maxSessions
	}
	if f.onToken != nil && err == nil {
		err = f.onToken(slot)
	}
	return info, err
}

func (f *faulty) OpenSession(slot, flags uint) (pkcs11.SessionHandle, error) {
	if f.onOpen != nil {
		if err := f.onOpen(flags); err != nil {
			return 0, err
		}
	}
	return f.cryptoki.OpenSession(slot, flags)
}

func (f *faulty) Login(s pkcs11.SessionHandle, user uint, pin string) error {
	f.logins.Add(1)
	if f.onLogin != nil {
		if err := f.onLogin(user, pin); err != nil {
			return err
		}
	}
	return f.cryptoki.Login(s, user, pin)
}

func (f *faulty) SignInit(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, k pkcs11.ObjectHandle) error {
	if f.onInit != nil {
		if err := f.onInit(); err != nil {
			return err
		}
	}
	return f.cryptoki.SignInit(s, m, k)
}

func (f *faulty) Sign(s pkcs11.SessionHandle, data []byte) ([]byte, error) {
	if f.onSign != nil {
		if err := f.onSign(); err != nil {
			return nil, err
		}
	}
	return f.cryptoki.Sign(s, data)
}

// module returns SoftHSM with f in between.
func (f *faulty) module(t *testing.T) *module {
	t.Helper()
	real, err := modules.load(t.Context(), start{path: resolved(t)})
	if err != nil {
		t.Fatal(err)
	}
	f.cryptoki = real.api
	return &module{start: real.start, api: f, info: real.info, complete: true, rejected: map[attempt]error{}}
}

func resolved(t *testing.T) string {
	t.Helper()
	path, err := Options{Module: lab.Module}.modulePath(URI{})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *faulty) open(t *testing.T, u URI) *tokenKey {
	t.Helper()
	k, err := f.module(t).open(t.Context(), u, labPIN, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

var p256 = URI{Token: "lab", Object: "p256"}

func sign(ctx context.Context, k *tokenKey) error {
	sig, err := k.Sign(ctx, signer.ECDSASHA256, []byte("message"))
	if err != nil {
		return err
	}
	return signer.ECDSASHA256.Verify(k.Public(), []byte("message"), sig.Bytes)
}

// times returns a hook that fails the first n calls.
func times(n int32, rv uint) func() error {
	var calls atomic.Int32
	return func() error {
		if calls.Add(1) <= n {
			return pkcs11.Error(rv)
		}
		return nil
	}
}

func TestLostSessionIsReplacedOnce(t *testing.T) {
	for _, rv := range []uint{pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_ERROR,
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_USER_NOT_LOGGED_IN} {
		f := &faulty{}
		k := f.open(t, p256)
		f.onInit = times(1, rv)
		if err := sign(t.Context(), k); err != nil {
			t.Errorf("one %s: %v", rvName(pkcs11.Error(rv)), err)
		}
		f.onInit = times(2, rv)
		err := sign(t.Context(), k)
		if check(t, err, fault.Undecided, "pkcs11_device", "C_SignInit returned CKR_"); !fault.IsTransient(err) {
			t.Errorf("%v is not transient", err)
		}
		if err := sign(t.Context(), k); err != nil {
			t.Errorf("after two %s: %v", rvName(pkcs11.Error(rv)), err)
		}
	}
}

// The device closes every session, and with them the login, while many sign.
// SoftHSM 2.6 has a race of its own there: closing the last session takes away
// one that is being opened. Such a loss is transient, and the guard that wraps
// every key signs again; so does this test.
func TestAllSessionsLost(t *testing.T) {
	f := &faulty{}
	k := f.open(t, p256)
	for range 5 {
		if err := f.cryptoki.(*pkcs11.Ctx).CloseAllSessions(k.conn.pool.origin.slot.id); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				again := retry.Policy{Attempts: 4, Base: time.Millisecond}
				if err := again.Do(t.Context(), "signing", func(ctx context.Context) error { return sign(ctx, k) }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := f.logins.Load(); got < 6 || got > 11 {
		t.Errorf("%d logins, want one at the start and one after each loss, or two", got)
	}
}

func TestTokenStaysAway(t *testing.T) {
	f := &faulty{}
	k := f.open(t, p256)
	f.onInit = times(1, pkcs11.CKR_DEVICE_REMOVED)
	f.onToken = func(uint) error { return pkcs11.Error(pkcs11.CKR_TOKEN_NOT_PRESENT) }
	err := sign(t.Context(), k)
	if check(t, err, fault.Undecided, "pkcs11_device", "was lost", "CKR_DEVICE_REMOVED"); !fault.IsTransient(err) {
		t.Errorf("%v is not transient", err)
	}
	f.onToken = nil
	if err := sign(t.Context(), k); err != nil {
		t.Error(err)
	}
}

func TestSilentSlot(t *testing.T) {
	f := &faulty{onToken: func(uint) error { return pkcs11.Error(pkcs11.CKR_DEVICE_ERROR) }}
	_, err := f.module(t).open(t.Context(), p256, labPIN, Options{})
	check(t, err, fault.Undecided, "pkcs11_device", "a slot did not answer: C_GetTokenInfo returned CKR_DEVICE_ERROR")

	real := open(t, "pkcs11:token=lab;object=p256").backend.(*tokenKey).conn.pool.origin.slot.id
	f = &faulty{onToken: func(slot uint) error {
		if slot != real {
			return pkcs11.Error(pkcs11.CKR_TOKEN_NOT_RECOGNIZED)
		}
		return nil
	}}
	f.open(t, p256)
}

func TestNoTokenAtAll(t *testing.T) {
	f := &faulty{noSlots: true}
	m := f.module(t)
	_, err := m.open(t.Context(), p256, labPIN, Options{})
	check(t, err, fault.Config, "pkcs11_token_not_found", "offers no token at all")
	m.info.LibraryDescription = "p11-kit (no connection)"
	_, err = m.open(t.Context(), p256, labPIN, Options{})
	check(t, err, fault.Config, "pkcs11_socket_unreachable", "not connected to a p11-kit server", "P11_KIT_SERVER_ADDRESS")
}

func TestReadWriteFallback(t *testing.T) {
	f := &faulty{onOpen: func(flags uint) error {
		if flags&pkcs11.CKF_RW_SESSION == 0 {
			return pkcs11.Error(pkcs11.CKR_FUNCTION_FAILED)
		}
		return nil
	}}
	if err := sign(t.Context(), f.open(t, p256)); err != nil {
		t.Error(err)
	}
	f.onOpen = func(uint) error { return pkcs11.Error(0x80000123) }
	_, err := f.module(t).open(t.Context(), p256, labPIN, Options{})
	check(t, err, fault.Undecided, "pkcs11_device", "C_OpenSession returned the vendor's code 0x80000123")
}

// A token with fewer sessions than it says.
func TestSessionsRunOut(t *testing.T) {
	var opened atomic.Int32
	f := &faulty{maxSessions: 1<<64 - 2, onOpen: func(uint) error {
		if opened.Add(1) > 2 {
			return pkcs11.Error(pkcs11.CKR_SESSION_COUNT)
		}
		return nil
	}}
	k := f.open(t, p256)
	f.onSign = func() error { time.Sleep(time.Millisecond); return nil }
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := sign(t.Context(), k); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := opened.Load(); got > 4 {
		t.Errorf("%d sessions were asked for", got)
	}
}

// A call that hangs is left behind and its session is not used until it ends.
func TestStuckModule(t *testing.T) {
	f := &faulty{maxSessions: 1}
	k := f.open(t, p256)
	stuck := make(chan struct{})
	f.onSign = func() error { <-stuck; return nil }
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := sign(ctx, k)
		check(t, err, fault.Undecided, "pkcs11_timeout", "did not finish in time")
		cancel()
	}
	close(stuck)
	if err := sign(t.Context(), k); err != nil {
		t.Error(err)
	}
}

func TestModuleRefuses(t *testing.T) {
	f := &faulty{}
	k := f.open(t, p256)
	for rv, want := range map[uint]string{
		pkcs11.CKR_MECHANISM_INVALID:          "algorithm_unsupported",
		pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED: "pkcs11_key_unusable",
	} {
		f.onInit = times(1, rv)
		check(t, sign(t.Context(), k), fault.Config, want)
	}
	f.onInit = times(1, pkcs11.CKR_ARGUMENTS_BAD)
	check(t, sign(t.Context(), k), fault.Undecided, "pkcs11_device", "C_SignInit returned CKR_ARGUMENTS_BAD")
	if err := sign(t.Context(), k); err != nil {
		t.Error(err)
	}
}

func TestPoolSize(t *testing.T) {
	for limit, want := range map[uint]int{0: 4, 1: 1, 3: 3, 4: 4, 100: 4, 1<<64 - 1: 4, 1<<64 - 2: 4} {
		if got := poolSize(limit); got != want {
			t.Errorf("poolSize(%d) = %d, want %d", limit, got, want)
		}
	}
}
