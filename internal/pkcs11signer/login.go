//go:build linux && cgo

package pkcs11signer

import (
	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// attempt is a PIN presented to a token.
type attempt struct{ token, serial, pin string }

// login logs the user in to the token of the session. The PIN is presented at
// most once. A token that needs no login, or whose user is logged in already in
// this process, is left alone.
func (m *module) login(session pkcs11.SessionHandle, s slot, pin string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.token.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		return nil
	}
	info, err := m.api.GetSessionInfo(session)
	if err != nil {
		return called("C_GetSessionInfo", err)
	}
	if info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS {
		return nil
	}
	return m.present(session, pkcs11.CKU_USER, s, pin)
}

// authenticate presents the PIN for the one operation that the session has
// begun, as a key with CKA_ALWAYS_AUTHENTICATE demands.
func (m *module) authenticate(session pkcs11.SessionHandle, s slot, pin string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.present(session, pkcs11.CKU_CONTEXT_SPECIFIC, s, pin)
	if is(err, pkcs11.CKR_USER_TYPE_INVALID) {
		return nil // opencryptoki 3.8 keeps the attribute and does not ask for the login; a token that does refuses C_Sign
	}
	return err
}

// present gives the PIN to the token unless that is known to be useless or
// dangerous. The caller holds m.mu.
func (m *module) present(session pkcs11.SessionHandle, user uint, s slot, pin string) error {
	try := attempt{trim(s.token.Label), trim(s.token.SerialNumber), pin}
	if err := m.rejected[try]; err != nil {
		return err
	}
	info, err := m.api.GetTokenInfo(s.id)
	if err != nil {
		return called("C_GetTokenInfo", err)
	}
	if err := mayTry(s, info.Flags, pin); err != nil {
		return err
	}
	err = m.api.Login(session, user, pin)
	if err == nil {
		m.accepted[try] = true
	}
	if err == nil || is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		return nil
	}
	failed := loginFault(s, called("C_Login", err))
	if fault.OutcomeOf(failed) == fault.Config || !m.accepted[try] && !is(err, aboutSession...) {
		failed.Transient = false
		m.rejected[try] = failed
	}
	return failed
}

// aboutSession are the answers of C_Login that are about the session or the
// device. Any other may be a wrong PIN by another name, so a PIN that the token
// has never taken is not presented again.
var aboutSession = []uint{
	pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED,
	pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_HOST_MEMORY, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SLOT_ID_INVALID,
}

// mayTry decides by the token's flags, which a good token updates with each
// mistake, whether a PIN may be presented.
func mayTry(s slot, flags uint, pin string) error {
	switch {
	case pin == "" && flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH == 0:
		return fault.Configf("pkcs11_pin_missing", "set pkcs11-pin, pkcs11-pin-file or the environment variable "+EnvPIN,
			"the token %s needs a PIN and none was given", s.uri())
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return locked(s, "has locked its PIN after too many mistakes")
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return fault.Configf("pkcs11_pin_locked", "log in once with the vendor's own tool, which resets the counter, and try again",
			"the token %s would lock its PIN after one more mistake, so signgate does not try it", s.uri())
	}
	return nil
}

func locked(s slot, why string) *fault.Error {
	return fault.Configf("pkcs11_pin_locked", "unlock it with the vendor's own tool and the security officer's PIN", "the token %s %s", s.uri(), why)
}

// loginFault sorts the answers of C_Login.
func loginFault(s slot, err error) *fault.Error {
	switch {
	case is(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE):
		return fault.Configf("pkcs11_pin_incorrect", "check the PIN; AWS CloudHSM expects user:password, YubiHSM2 four hexadecimal digits and the password",
			"the token %s rejected the PIN (%s); it was tried once and is not tried again, so that the token does not lock", s.uri(), rvName(err))
	case is(err, pkcs11.CKR_PIN_LOCKED):
		return locked(s, "has locked its PIN (CKR_PIN_LOCKED)")
	case is(err, pkcs11.CKR_FUNCTION_CANCELED):
		return fault.Undecidedf("pkcs11_device", "enter the PIN when the device asks for it, and run again", // a person is not asked twice
			"the login to the token %s was cancelled at the device", s.uri())
	case is(err, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_USER_PIN_NOT_INITIALIZED):
		return fault.Configf("pkcs11_pin_unusable", "set a new user PIN with the vendor's own tool",
			"the token %s does not accept its PIN for use (%s)", s.uri(), rvName(err))
	}
	f := fault.Undecidedf("pkcs11_device", "look into the module's own log for the cause", "the login to the token %s failed: %w", s.uri(), err)
	f.Transient = passing(err)
	return f
}

// pinWarning is what to tell about a token that counts mistakes already, or "".
func pinWarning(s slot) string {
	if s.token.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW == 0 {
		return ""
	}
	return "the token " + s.uri().String() + " reports that a wrong PIN was used since the last good login; look for another client with an old PIN"
}
