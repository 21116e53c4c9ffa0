//go:build linux && cgo

package pkcs11signer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// callError is a call into a module that failed.
type callError struct {
	call string
	rv   error
}

// called returns err as a callError of the named function, and nil for nil.
func called(call string, err error) error {
	if err == nil {
		return nil
	}
	return &callError{call, err}
}

func (e *callError) Error() string { return e.call + " returned " + rvName(e.rv) }
func (e *callError) Unwrap() error { return e.rv }

// rvName returns the name of a return value as the specification spells it, or
// its number.
func rvName(err error) string {
	rv, ok := errors.AsType[pkcs11.Error](err)
	if !ok {
		return err.Error()
	}
	text := rv.Error() // "pkcs11: 0x30: CKR_DEVICE_ERROR"
	if name := text[strings.LastIndex(text, " ")+1:]; name != "" {
		return name
	}
	if rv >= pkcs11.CKR_VENDOR_DEFINED {
		return fmt.Sprintf("the vendor's code 0x%X", uint(rv))
	}
	return fmt.Sprintf("the code 0x%X", uint(rv))
}

// is reports whether err carries one of the return values.
func is(err error, values ...uint) bool {
	rv, ok := errors.AsType[pkcs11.Error](err)
	return ok && slices.Contains(values, uint(rv))
}

// gone reports whether err means that the session, its login or its view of
// the key is no longer there, so that a new session may work.
func gone(err error) bool {
	return is(err, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_ERROR,
		pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID)
}

// passing reports whether the same call may succeed later.
func passing(err error) bool {
	return gone(err) || is(err, pkcs11.CKR_SESSION_COUNT, pkcs11.CKR_OPERATION_ACTIVE, pkcs11.CKR_HOST_MEMORY,
		pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_FUNCTION_CANCELED)
}

// explain turns an error of the module into a fault about what; a fault stays
// as it is.
func explain(err error, what string) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil {
		return err
	}
	switch {
	case is(err, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED):
		return fault.Configf("pkcs11_key_unusable", "use a key that was made for signing (CKA_SIGN)", "%s: %w", what, err)
	case passing(err):
		return fault.Transientf("pkcs11_device", "check that the device is connected, powered and not out of sessions", "%s: %w", what, err)
	}
	return fault.Undecidedf("pkcs11_device", "look into the module's own log for the cause", "%s: %w", what, err)
}
