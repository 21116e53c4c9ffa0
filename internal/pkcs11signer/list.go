//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"crypto"
	"crypto/x509"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// List returns the keys of every token that the URI names, in the order of the
// module. The URI may be "pkcs11:" alone, and may select keys, too. The PIN is
// presented only when the URI leaves one token, so that no other token counts a
// mistake; without a login most tokens show public keys only. The faults are
// those of Open.
func List(ctx context.Context, uri string, opts Options) ([]Entry, error) {
	m, u, pin, err := opts.reach(ctx, uri)
	if err != nil {
		return nil, err
	}
	return within(ctx, "listing the keys of "+u.String(), func() ([]Entry, error) {
		entries, err := m.list(u, pin, opts)
		return entries, explain(err, "the keys of "+u.String()+" cannot be listed")
	}, func([]Entry) {})
}

func (m *module) list(u URI, pin string, opts Options) ([]Entry, error) {
	all, found, silent, err := m.matching(u)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, m.noToken(u, all, found, silent)
	}
	one := len(found) == 1 && (silent == nil || u.pinned())
	var entries []Entry
	for _, s := range found {
		some, err := m.entries(s, u, credential{pin, one && (pin != "" || s.token.Flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0)}, opts)
		if err != nil {
			return nil, err
		}
		entries = append(entries, some...)
	}
	return entries, nil
}

// credential is a PIN, which a token with a PIN pad does not need, and whether to
// log in with it.
type credential struct {
	pin   string
	login bool
}

// entries lists the keys of one token.
func (m *module) entries(s slot, u URI, c credential, opts Options) ([]Entry, error) {
	first, err := m.openSession(s)
	if err != nil {
		return nil, err
	}
	defer m.hangUp(first)
	if c.login {
		if err := m.login(first.handle, s, c.pin); err != nil {
			return nil, err
		}
	}
	return view{m.api, first.handle}.entries(s, u, c.login, opts)
}

func (v view) entries(s slot, u URI, loggedIn bool, opts Options) ([]Entry, error) {
	keys, err := v.selected(pkcs11.CKO_PRIVATE_KEY, u)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, key := range keys {
		e, err := v.privateEntry(key, s, opts)
		if err != nil {
			return nil, err
		}
		e.URI = printed(key.uri(s), u)
		entries = append(entries, e)
	}
	if len(entries) > 0 {
		return entries, nil
	}
	problem := "the private key does not show; log in with the token's PIN to see whether it is there"
	if loggedIn {
		problem = "the token shows no private key for it to this login"
	}
	return v.publicEntries(s, u, problem)
}

// printed is the URI of a key for people: with the selectors of theirs that are
// not the key's own.
func printed(key, given URI) string {
	key.SlotID, key.ModulePath = given.SlotID, given.ModulePath
	return key.String()
}

// privateEntry describes a private key. What keeps signgate from using it is
// told in the entry.
func (v view) privateEntry(key object, s slot, opts Options) (Entry, error) {
	custody, err := v.custody(key.handle)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Private: true, Custody: &custody}
	public, err := v.publicKey(key, s, opts.PublicKeys)
	if gone(err) {
		return Entry{}, err
	}
	if err = explain(err, "the key cannot be read"); err != nil { // of this key; it hides no other
		e.Problem = fault.CodeOf(err) + ": " + err.Error()
	}
	return e.of(public), nil
}

// publicEntries describes the public keys and certificates of a token whose
// private keys do not show.
func (v view) publicEntries(s slot, u URI, problem string) ([]Entry, error) {
	var entries []Entry
	for _, class := range []struct {
		number uint
		name   string
		read   func(object) (crypto.PublicKey, error)
	}{{pkcs11.CKO_PUBLIC_KEY, "a public key object", v.publicObject}, {pkcs11.CKO_CERTIFICATE, "a certificate", v.certificate}} {
		found, err := v.selected(class.number, u)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			pub, err := class.read(o)
			if gone(err) {
				return nil, err
			}
			e := Entry{URI: printed(o.uri(s), u), Problem: problem}
			if err = explain(err, "it cannot be read"); err != nil {
				e.Problem = fault.CodeOf(err) + ": " + err.Error()
			}
			entries = append(entries, e.of(half{pub, class.name}))
		}
	}
	return entries, nil
}

// of completes the entry with the public half, when there is one.
func (e Entry) of(public half) Entry {
	if public.key == nil {
		return e
	}
	e.Type, e.Source, e.Proved = signer.KeyType(public.key), public.source, e.Private && public.proved()
	if fingerprint, err := signer.Fingerprint(public.key); err == nil {
		e.Fingerprint = fingerprint
	}
	return e
}

// publicObject reads a public key object; nil means that its type is not
// supported.
func (v view) publicObject(o object) (crypto.PublicKey, error) {
	kind, err := v.number(o.handle, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return nil, err
	}
	keys, err := v.read(o.handle, kind)
	if len(keys) == 0 || fault.OutcomeOf(err) == fault.Config {
		return nil, nil
	}
	return keys[0], err
}

// certificate reads the key of a certificate; nil means that it has none that
// can be read.
func (v view) certificate(o object) (crypto.PublicKey, error) {
	der, err := v.attribute(o.handle, pkcs11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil
	}
	return cert.PublicKey, nil
}
