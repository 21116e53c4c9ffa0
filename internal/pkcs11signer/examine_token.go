//go:build linux && cgo

package pkcs11signer

import (
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/signer"
)

// tokens lists the tokens with what their flags say about the PIN.
func (e *examination) tokens(m *module) error {
	e.on("slots")
	slots, err := m.api.GetSlotList(false)
	if err != nil {
		return explain(called("C_GetSlotList", err), "the slots of "+m.path+" cannot be listed")
	}
	all, found, silent, err := m.matching(URI{})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		e.add(signer.Good("slots", "%d", len(slots)))
		e.on("token")
		return m.noToken(URI{}, all, found, silent)
	}
	e.add(signer.Good("slots", "%d, of which %d have an initialised token", len(slots), len(found)))
	if silent != nil {
		e.add(signer.Doubtful("slots", "check the connection of the device", "a slot does not answer: %v", silent))
	}
	for _, s := range found {
		e.add(describeToken(s))
	}
	return nil
}

// describeToken says what a token tells without a login.
func describeToken(s slot) signer.Check {
	t := s.token
	facts := []string{fmt.Sprintf("%s %s", trim(t.ManufacturerID), trim(t.Model)), "login " + loginKind(t.Flags)}
	if most := t.MaxSessionCount; most > 0 && most < 1<<31 {
		facts = append(facts, fmt.Sprintf("%d sessions at most", most))
	}
	if t.Flags&pkcs11.CKF_WRITE_PROTECTED != 0 {
		facts = append(facts, "write-protected")
	}
	fact := s.uri().String() + ": " + strings.Join(facts, ", ")
	switch {
	case t.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return signer.Doubtful("token", "unlock it with the vendor's own tool and the security officer's PIN", "%s; its PIN is locked", fact)
	case t.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return signer.Doubtful("token", "log in once with the vendor's own tool, which resets the counter", "%s; one more wrong PIN locks it", fact)
	case t.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0:
		return signer.Doubtful("token", "look for another client with an old PIN", "%s; a wrong PIN was used since the last good login", fact)
	}
	return signer.Good("token", "%s", fact)
}

func loginKind(flags uint) string {
	switch {
	case flags&pkcs11.CKF_LOGIN_REQUIRED == 0:
		return "not needed"
	case flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0:
		return "on the device itself"
	}
	return "with a PIN"
}

// inventory lists the keys of all tokens.
func (e *examination) inventory(m *module) error {
	e.on("login")
	pin, err := e.opts.pin(URI{})
	if err != nil {
		return err
	}
	entries, err := m.list(URI{}, pin, e.opts)
	if err != nil {
		return explain(err, "the keys cannot be listed")
	}
	for _, entry := range entries {
		e.add(entry.check())
	}
	if len(entries) == 0 {
		e.add(signer.Doubtful("keys", "give the PIN and name one token to see its private keys, or make a key with signgate key generate", "no key shows"))
	}
	return nil
}

func (entry Entry) check() signer.Check {
	switch {
	case entry.Problem != "":
		return signer.Doubtful("key", "see signgate doctor --key for this URI", "%s: %s", entry.URI, entry.Problem)
	case entry.Custody.Extractable == signer.Yes:
		return signer.Doubtful("key", "use a key that cannot leave its token", "%s: %s, %s; %s", entry.URI, entry.Type, entry.Fingerprint, entry.Custody)
	}
	return signer.Good("key", "%s: %s, %s; %s", entry.URI, entry.Type, entry.Fingerprint, entry.Custody)
}
