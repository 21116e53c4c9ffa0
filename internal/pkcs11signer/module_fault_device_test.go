//go:build linux && cgo

package pkcs11signer

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// The device is pulled out, and comes back in another slot with other handles.
func TestDeviceRemovedAndBack(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	for round := range uint64(3) {
		m.Remove()
		transient(t, verified(t.Context(), k), "the token pkcs11:token=lab;serial=", "was lost (C_SignInit returned CKR_DEVICE_REMOVED)", "offers no token at all")
		transient(t, verified(t.Context(), k), "C_OpenSession returned CKR_TOKEN_NOT_PRESENT")
		m.Insert(round) // first into the same slot
		works(t, k)
		if got := m.UserLogins.Load(); got != round+2 {
			t.Errorf("%d logins, want %d", got, round+2)
		}
	}
}

// The guard's retries bridge the time in which the device is away.
func TestDeviceBackDuringRetries(t *testing.T) {
	m := faultModule(t)
	g, err := signer.Guard(openWith(t, anyKey, with(m)), retry.Policy{Attempts: 1000, Base: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	m.Remove()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := g.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	m.Insert(1)
	all.Wait()
	if m.UserLogins.Load() != 2 {
		t.Errorf("%d logins, want 2", m.UserLogins.Load())
	}
}

// A URI that names a slot means that slot.
func TestSlotChanges(t *testing.T) {
	m := faultModule(t)
	slot := openWith(t, anyKey, with(m)).backend.(*tokenKey).conn.pool.origin.slot.id
	k := openWith(t, fmt.Sprintf("pkcs11:slot-id=%d;object=p256", slot), with(m))
	works(t, k)
	m.Remove()
	m.Insert(1)
	transient(t, verified(t.Context(), k), "cannot be opened again", "no token of "+m.Path+" matches")
}

// One slot that does not answer is no reason not to use another; it is one not
// to say that the token does not exist.
func TestSilentToken(t *testing.T) {
	m := faultModule(t)
	serial := serialOf(t, m)
	m.SilentRV.Store(pkcs11.CKR_TOKEN_NOT_RECOGNIZED)
	m.Silent.Set("mute")
	_, err := Open(t.Context(), anyKey, with(m)) // the silent one may be called lab, too
	transient(t, err, "a slot that did not answer may hold another: C_GetTokenInfo returned CKR_TOKEN_NOT_RECOGNIZED")
	if n := m.Calls[fm.Login].Count.Load(); n != 1 {
		t.Errorf("the PIN was presented %d times, want once before the slot fell silent", n)
	}
	works(t, openWith(t, "pkcs11:serial="+serial+";object=p256", with(m)))
	before := m.UserLogins.Load()
	if _, err := List(t.Context(), "pkcs11:token=lab", with(m)); err != nil || m.UserLogins.Load() != before {
		t.Errorf("a list beside a silent slot: %d logins, %v", m.UserLogins.Load()-before, err)
	}
	m.Silent.Set("lab")
	_, err = Open(t.Context(), anyKey, with(m))
	transient(t, err, "a slot did not answer: C_GetTokenInfo returned CKR_TOKEN_NOT_RECOGNIZED")
	refuse(t, "pkcs11:token=twin", with(m), fault.Config, "pkcs11_token_ambiguous")
	m.Silent.Set("")
	_, err = Open(t.Context(), anyKey, with(m))
	transient(t, err, "a slot did not answer")
}

func serialOf(t *testing.T, m *fm.Module) string {
	t.Helper()
	k := openWith(t, anyKey, with(m))
	defer k.Close()
	u, err := ParseURI(k.URI())
	if err != nil {
		t.Fatal(err)
	}
	return u.Serial
}

func TestNoTokenPresent(t *testing.T) {
	m := faultModule(t)
	m.Remove()
	refuse(t, anyKey, with(m), fault.Config, "pkcs11_token_not_found", "offers no token at all")
	m.Insert(0)
	works(t, openWith(t, anyKey, with(m)))
}

func TestNULPaddedToken(t *testing.T) {
	m := faultModule(t)
	m.NULPadded.Store(1)
	k := openWith(t, anyKey, with(m))
	works(t, k)
	if plain := open(t, anyKey); k.ID() != plain.ID() {
		t.Errorf("padded with NUL the key is %s, otherwise %s", k.ID(), plain.ID())
	}
	works(t, openWith(t, k.ID(), with(m)))
}

// A signature that is wrong never leaves the guard, and is not tried again: it
// is a fact about the device.
func TestCorruptedSignature(t *testing.T) {
	for label, alg := range map[string]signer.Algorithm{"p256": signer.ECDSASHA256, "rsa3072": signer.RSAPKCS1SHA256, "ed25519": signer.Ed25519} {
		m := faultModule(t)
		g, err := signer.Guard(openWith(t, "pkcs11:token=lab;object="+label, with(m)), retry.Policy{Attempts: 5, Base: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		m.Corrupt.Store(1)
		_, err = g.Sign(t.Context(), alg, []byte("message"))
		check(t, err, fault.Refused, "bad_signature", "does not verify with its public key")
		if m.Signatures.Load() != 1 {
			t.Errorf("%d signatures were made", m.Signatures.Load())
		}
		if _, err := g.Sign(t.Context(), alg, []byte("message")); err != nil {
			t.Error(err)
		}
	}
}

func TestShortSignature(t *testing.T) {
	m := faultModule(t)
	k := openWith(t, anyKey, with(m))
	m.Shorten.Store(1)
	check(t, verified(t.Context(), k), fault.Undecided, "pkcs11_device", "an ECDSA signature of 63 bytes for a P-256 key")
	works(t, k)
	g, err := signer.Guard(openWith(t, "pkcs11:token=lab;object=rsa3072", with(m)), retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	m.Shorten.Store(1)
	_, err = g.Sign(t.Context(), signer.RSAPKCS1SHA256, nil)
	check(t, err, fault.Refused, "bad_signature")
}

// The key was made anew on the token under the same name: what it signs does not
// verify with the public key that was pinned and reported.
func TestAnotherKeyComesBack(t *testing.T) {
	makeKey := func() {
		if err := mute.GenerateKey(t.Context(), "EC:prime256v1", "bb", "remade"); err != nil {
			t.Fatal(err)
		}
	}
	removeKey := func() {
		for _, half := range []string{"privkey", "pubkey"} {
			if err := mute.PKCS11Tool(t.Context(), "--delete-object", "--type", half, "--id", "bb"); err != nil {
				t.Fatal(err)
			}
		}
	}
	makeKey()
	m := faultModule(t)
	g, err := signer.Guard(openWith(t, "pkcs11:token=mute;object=remade", with(m)), retry.Policy{Attempts: 3})
	if err != nil {
		t.Fatal(err)
	}
	removeKey()
	makeKey()
	m.Die()
	_, err = g.Sign(t.Context(), signer.ECDSASHA256, nil)
	check(t, err, fault.Refused, "bad_signature")
	removeKey()
	m.Die()
	_, err = g.Sign(t.Context(), signer.ECDSASHA256, nil)
	transient(t, err, "cannot be opened again", "shows no private key to this login")
}
