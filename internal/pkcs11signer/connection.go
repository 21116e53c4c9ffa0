//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// connection is the way to one key on one token.
type connection struct {
	module *module
	want   URI // names the one token and key
	pin    string
	always bool // the key wants the PIN for each signature
	pool   *pool

	reconnecting sync.Mutex // one at a time
}

// dial finds the token and the key, opens the first session and logs in.
func (m *module) dial(u URI, pin string) (session, object, error) {
	s, err := m.selectToken(u)
	if err != nil {
		return session{}, object{}, err
	}
	first, err := m.openSession(s)
	if err != nil {
		return session{}, object{}, err
	}
	if err := m.login(first.handle, s, pin); err != nil {
		m.hangUp(first)
		return session{}, object{}, err
	}
	key, err := view{m.api, first.handle}.privateKey(s, u)
	if err != nil {
		m.hangUp(first)
		return session{}, object{}, err
	}
	first.key = key.handle
	return first, key, nil
}

// openSession opens a read-only session, which is all that signing needs and
// all that a write-protected token gives, and a read-write one where the module
// has no other.
func (m *module) openSession(s slot) (session, error) {
	var handle pkcs11.SessionHandle
	var err error
	for _, flags := range []uint{pkcs11.CKF_SERIAL_SESSION, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION} {
		handle, err = m.api.OpenSession(s.id, flags)
		if err == nil {
			return session{handle, origin{slot: s, flags: flags}}, nil
		}
		if is(err, pkcs11.CKR_SESSION_COUNT, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT) {
			break
		}
	}
	return session{}, called("C_OpenSession", err)
}

func (m *module) hangUp(s session) { _ = m.api.CloseSession(s.handle) }

// sign makes one signature. When the token lost the session, it connects anew
// and tries once more.
func (c *connection) sign(ctx context.Context, mechanism *pkcs11.Mechanism, data []byte) ([]byte, error) {
	raw, generation, err := c.attempt(ctx, mechanism, data)
	if !gone(err) || ctx.Err() != nil {
		return raw, err
	}
	if again := c.reconnect(ctx, generation, err); again != nil {
		return nil, again
	}
	raw, _, err = c.attempt(ctx, mechanism, data)
	return raw, err
}

// attempt makes one signature in one session and returns the session's
// generation.
func (c *connection) attempt(ctx context.Context, mechanism *pkcs11.Mechanism, data []byte) ([]byte, int, error) {
	s, err := c.pool.take(ctx)
	if err != nil {
		return nil, s.generation, err
	}
	raw, err := c.signIn(s, mechanism, data)
	if refused(err) {
		c.pool.give(s, nil)
	} else {
		c.pool.give(s, err)
	}
	return raw, s.generation, err
}

// refused reports whether no operation has begun in the session: then it is as
// good as before.
func refused(err error) bool {
	failed, ok := errors.AsType[*callError](err)
	return ok && failed.call == "C_SignInit" && is(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED)
}

func (c *connection) signIn(s session, mechanism *pkcs11.Mechanism, data []byte) ([]byte, error) {
	api := c.module.api
	if err := api.SignInit(s.handle, []*pkcs11.Mechanism{mechanism}, s.key); err != nil {
		return nil, called("C_SignInit", err)
	}
	if c.always {
		if err := c.module.authenticate(s.handle, s.slot, c.pin); err != nil {
			return nil, err
		}
	}
	raw, err := api.Sign(s.handle, data)
	return raw, called("C_Sign", err)
}

// reconnect replaces the sessions of a generation that failed with cause. It
// does nothing when somebody has done so already.
func (c *connection) reconnect(ctx context.Context, generation int, cause error) error {
	c.reconnecting.Lock()
	defer c.reconnecting.Unlock()
	if c.pool.generation() != generation {
		return nil
	}
	s, _, err := c.module.dial(c.want, c.pin)
	if failed, ok := errors.AsType[*callError](err); ok && failed.call == "C_Login" && !fault.IsTransient(err) || strings.HasPrefix(fault.CodeOf(err), "pkcs11_pin_") {
		return err // the PIN is not presented again
	}
	if err != nil {
		return fault.Transientf("pkcs11_device", "check that the device is connected and powered",
			"the token %s was lost (%v) and cannot be opened again: %w", c.where(), cause, err)
	}
	return c.pool.renew(ctx, s)
}

// where names the token.
func (c *connection) where() URI { return URI{Token: c.want.Token, Serial: c.want.Serial} }
