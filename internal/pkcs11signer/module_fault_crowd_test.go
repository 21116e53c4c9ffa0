//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// crowd has 64 goroutines sign each a message of its own again and again, and
// verify what they get. A failure that may pass is tried again at once.
func crowd(t *testing.T, k signer.Key, each int) (failures int) {
	t.Helper()
	g, err := signer.Guard(k, retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a deadlock is an error, not a wait
	defer cancel()
	var all sync.WaitGroup
	var failed atomic.Int64
	for i := range 64 {
		all.Go(func() {
			for j := 0; j < each; {
				switch _, err := g.Sign(ctx, signer.ECDSASHA256, fmt.Appendf(nil, "message %d of %d", j, i)); {
				case err == nil:
					j++
				case fault.IsTransient(err):
					failed.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return int(failed.Load())
}

func TestCrowd(t *testing.T) {
	m := faultModule(t)
	failures := crowd(t, openWith(t, anyKey, with(m)), 50)
	if failures != 0 || m.Most.Load() > mostSessions || m.UserLogins.Load() != 1 || m.Signatures.Load() != 64*50 {
		t.Errorf("%d failures, %d sessions at once, %d logins, %d signatures", failures, m.Most.Load(), m.UserLogins.Load(), m.Signatures.Load())
	}
}

// The module starts once and the PIN is presented once, however many open keys at
// the same time.
func TestCrowdOpens(t *testing.T) {
	m := faultModule(t)
	m.Calls[fm.Initialize].Delay.Store(10_000)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			k, err := Open(t.Context(), "pkcs11:token=lab;object="+[]string{"p256", "p384", "p521", "ed25519"}[i%4], with(m))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { k.Close() })
		})
	}
	all.Wait()
	if m.Calls[fm.Initialize].Count.Load() != 1 || m.UserLogins.Load() != 1 || m.Open.Load() != 64 {
		t.Errorf("%d starts, %d logins, %d sessions", m.Calls[fm.Initialize].Count.Load(), m.UserLogins.Load(), m.Open.Load())
	}
}

// Two keys of one token share its login.
func TestCrowdOfTwoKeys(t *testing.T) {
	m := faultModule(t)
	a, b := openWith(t, anyKey, with(m)), openWith(t, "pkcs11:token=lab;object=certified", with(m))
	var both sync.WaitGroup
	both.Go(func() { crowd(t, a, 10) })
	both.Go(func() { crowd(t, b, 10) })
	both.Wait()
	if m.Most.Load() > 2*mostSessions || m.UserLogins.Load() != 1 {
		t.Errorf("%d sessions at once, %d logins", m.Most.Load(), m.UserLogins.Load())
	}
}

// Sessions die at random while many sign: no signature is wrong, none is lost
// for good, and no session is left.
func TestCrowdAndFaults(t *testing.T) {
	m := faultModule(t)
	m.CountPINs(labPIN, 3)
	m.SessionLimit.Store(mostSessions + 1)
	k := openWith(t, anyKey, with(m))
	m.Die() // once at least
	stop := make(chan struct{})
	var trouble sync.WaitGroup
	trouble.Go(func() {
		faults := []func(){
			m.Die,
			func() { m.Logouts.Add(1) },
			func() { m.Calls[fm.SignInit].Fail(pkcs11.CKR_SESSION_HANDLE_INVALID, 3) },
			func() { m.Calls[fm.Sign].FailAfter(2, pkcs11.CKR_DEVICE_ERROR, 2) },
			func() { m.Calls[fm.OpenSession].Fail(pkcs11.CKR_SESSION_COUNT, 2) },
			func() { m.Calls[fm.Login].Fail(pkcs11.CKR_FUNCTION_FAILED, 1) },
			func() { m.Calls[fm.FindObjects].Fail(pkcs11.CKR_DEVICE_MEMORY, 1) },
			func() { m.Remove(); m.Insert(1) },
		}
		for {
			select {
			case <-stop:
				return
			case <-time.After(rand.N(20 * time.Millisecond)):
				faults[rand.IntN(len(faults))]()
			}
		}
	})
	failures := crowd(t, k, 30)
	close(stop)
	trouble.Wait()
	if m.Died.Load() == 0 || m.Mistakes.Load() != 0 {
		t.Errorf("%d sessions died, %d wrong PINs", m.Died.Load(), m.Mistakes.Load())
	}
	t.Logf("%d failures, %d sessions opened, %d of them died, %d logins, %d signatures for %d", failures, m.Opened.Load(), m.Died.Load(), m.UserLogins.Load(), m.Signatures.Load(), 64*30)
}
