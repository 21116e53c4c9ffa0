//go:build linux && cgo

package pkcs11signer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// slot is a slot with the token that is in it.
type slot struct {
	id    uint
	token pkcs11.TokenInfo
}

// uri names the token.
func (s slot) uri() URI {
	return URI{Token: trim(s.token.Label), Serial: trim(s.token.SerialNumber)}
}

// trim drops the padding of fixed-size text: spaces by the specification, and
// the NULs of several modules.
func trim(s string) string { return strings.TrimRight(s, " \x00") }

// selectToken returns the one token that u names.
func (m *module) selectToken(u URI) (slot, error) {
	all, found, silent, err := m.matching(u)
	if err != nil {
		return slot{}, err
	}
	if len(found) != 1 {
		return slot{}, m.noToken(u, all, found, silent)
	}
	if silent != nil && !u.pinned() { // the silent one may match, too, and the PIN be for it
		return slot{}, fault.Transientf("pkcs11_device", "check the connection of the device, or name the token by its serial",
			"a token of %s matches %s, but a slot that did not answer may hold another: %w", m.path, u, silent)
	}
	return found[0], nil
}

// pinned reports whether the URI can name one token at most.
func (u URI) pinned() bool { return strings.Trim(u.Serial, "0") != "" || u.SlotID != "" }

// matching returns all tokens, those that u names, and the error of a slot that
// did not answer.
func (m *module) matching(u URI) (all, found []slot, silent, err error) {
	if !m.matchesLibrary(u) {
		return nil, nil, nil, fault.Configf("pkcs11_token_not_found", "correct or leave out the library- attributes",
			"the module %s is %q %s of %q, not the library that %s names", m.path, trim(m.info.LibraryDescription),
			m.libraryVersion(), trim(m.info.ManufacturerID), u)
	}
	if all, silent, err = m.tokens(); err != nil {
		return nil, nil, nil, explain(err, "the tokens of "+m.path+" cannot be listed")
	}
	for _, s := range all {
		ok, err := m.matches(s, u)
		if err != nil {
			return nil, nil, nil, explain(err, "a slot of "+m.path+" cannot be read")
		}
		if ok {
			found = append(found, s)
		}
	}
	return all, found, silent, nil
}

// tokens lists the tokens that are there and initialised, and the error of the
// last slot that did not answer.
func (m *module) tokens() (all []slot, silent, err error) {
	ids, err := m.api.GetSlotList(true)
	if is(err, pkcs11.CKR_BUFFER_TOO_SMALL) && m.socket != "" {
		return nil, nil, nil // so says p11-kit of a server whose filter matches no token
	}
	if err != nil {
		return nil, nil, called("C_GetSlotList", err)
	}
	for _, id := range ids {
		info, err := m.api.GetTokenInfo(id)
		if is(err, pkcs11.CKR_TOKEN_NOT_PRESENT) {
			continue // it was taken out a moment ago
		}
		if err != nil {
			silent = called("C_GetTokenInfo", err)
			continue
		}
		if info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 || trim(info.Label) != "" {
			all = append(all, slot{id, info})
		}
	}
	return all, silent, nil
}

func (m *module) libraryVersion() string {
	return version(m.info.LibraryVersion.Major, m.info.LibraryVersion.Minor)
}

func (m *module) matchesLibrary(u URI) bool {
	return same(u.LibraryManufacturer, m.info.ManufacturerID) &&
		same(u.LibraryDescription, m.info.LibraryDescription) && same(u.LibraryVersion, m.libraryVersion())
}

func (m *module) matches(s slot, u URI) (bool, error) {
	t := s.token
	if !same(u.Token, t.Label) || !same(u.Serial, t.SerialNumber) || !same(u.Manufacturer, t.ManufacturerID) ||
		!same(u.Model, t.Model) || !same(u.SlotID, strconv.FormatUint(uint64(s.id), 10)) {
		return false, nil
	}
	if u.SlotManufacturer == "" && u.SlotDescription == "" {
		return true, nil
	}
	info, err := m.api.GetSlotInfo(s.id)
	return same(u.SlotManufacturer, info.ManufacturerID) && same(u.SlotDescription, info.SlotDescription), called("C_GetSlotInfo", err)
}

// same reports whether a selector was not given or equals the value.
func same(want, have string) bool { return want == "" || trim(want) == trim(have) }

// noToken explains why not exactly one token was found.
func (m *module) noToken(u URI, all, found []slot, silent error) error {
	switch {
	case len(found) > 1:
		return fault.Configf("pkcs11_token_ambiguous", "name one of them in the key URI by its serial, or by its slot-id when the serials are equal",
			"%d tokens of %s match %s: %s", len(found), m.path, u, offers(found, u.ModulePath))
	case silent != nil:
		return fault.Transientf("pkcs11_device", "check the connection of the device",
			"no token of %s matches %s, but a slot did not answer: %w", m.path, u, silent)
	case len(all) > 0:
		return fault.Configf("pkcs11_token_not_found", "name one of them in the key URI",
			"no token of %s matches %s; it offers %s", m.path, u, offers(all, u.ModulePath))
	case m.disconnected():
		return m.noConnection()
	}
	if m.socket != "" {
		return fault.Configf("pkcs11_token_not_found", "check the token that the p11-kit server was started with, and the configuration of its module on the host",
			"the p11-kit server at %s offers no token at all", m.socket)
	}
	return fault.Configf("pkcs11_token_not_found", "check the module's own configuration file and environment variables, and that the device is connected",
		"the module %s offers no token at all", m.path)
}

// offers lists tokens as URIs; equal ones get their slot-id.
func offers(slots []slot, modulePath string) string {
	count := map[URI]int{}
	for _, s := range slots {
		count[s.uri()]++
	}
	var uris []URI
	for _, s := range slots {
		u := s.uri()
		if count[u] > 1 {
			u.SlotID = strconv.FormatUint(uint64(s.id), 10)
		}
		u.ModulePath = modulePath
		uris = append(uris, u)
	}
	return list(uris)
}

// list prints candidates in the order of their text, a screenful at most.
func list(uris []URI) string {
	const most = 10
	var text []string
	for _, u := range uris {
		text = append(text, u.String())
	}
	slices.Sort(text)
	if len(text) > most {
		text = append(text[:most], "and "+strconv.Itoa(len(uris)-most)+" more")
	}
	return strings.Join(text, ", ")
}
