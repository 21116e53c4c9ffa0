//go:build linux && cgo

package pkcs11signer

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// Generate makes a key pair on the one token that the URI names and returns it
// opened. The URI has the new key's label (object) and may have its id, which is
// 16 random bytes otherwise; both halves get both. The private half can sign and
// nothing else, and never leaves the token.
//
// A label or an id that the token has already, in any kind of object, is a
// configuration fault ("pkcs11_key_exists"). What was made is read back and
// signs once before Generate returns; a pair that is not what was asked for is
// removed again. Generate makes one attempt.
func Generate(ctx context.Context, uri string, spec KeySpec, opts Options) (*Key, error) {
	if !slices.Contains(KeySpecs(), spec) {
		return nil, fault.Configf("input_invalid", "use one of "+SpecNames(), "there is no key type %q", string(spec))
	}
	m, u, pin, err := opts.reach(ctx, uri)
	if err != nil {
		return nil, err
	}
	if u, err = newName(u); err != nil {
		return nil, err
	}
	k, err := within(ctx, "making the key "+u.String(), func() (*tokenKey, error) {
		k, err := m.generate(ctx, u, spec, pin, opts)
		return k, explain(err, "the key "+u.String()+" cannot be made")
	}, func(k *tokenKey) { k.Close() })
	switch {
	case fault.CodeOf(err) == "pkcs11_timeout":
		return nil, fault.Undecidedf("pkcs11_key_not_made", "look with signgate key list whether it is there; remove it with the vendor's own tool, or use it",
			"the time was over while the key %s was being made, so it may be on its token: %w", u, err)
	case err != nil:
		return nil, err
	}
	return opts.tell(k), nil
}

// newName completes the URI of a new key with an id. A label that is padded would
// not be told apart from the one without.
func newName(u URI) (URI, error) {
	switch {
	case u.Object == "":
		return u, invalid("add object= with the label of the new key", "the key URI %s has no label for a new key", u)
	case trim(u.Object) != u.Object:
		return u, invalid("leave the padding out", "the label of the new key %s ends with spaces or NULs, which tokens use as padding", u)
	case u.ID == "":
		id := make([]byte, 16)
		rand.Read(id)
		u.ID = string(id)
	}
	return u, nil
}

// pair is a new key pair, and the session that made it. The session stays open
// until the pair has been opened as a key, so that the login lasts.
type pair struct {
	session
	api             *pkcs11.Ctx
	public, private pkcs11.ObjectHandle
	uri             URI
}

func (m *module) generate(ctx context.Context, u URI, spec KeySpec, pin string, opts Options) (*tokenKey, error) {
	if !m.complete {
		return nil, fault.Configf("pkcs11_key_not_made", "make the key with the vendor's own tool", "the module %s has no function to make keys", m.path)
	}
	s, err := m.selectToken(u)
	if err != nil {
		return nil, err
	}
	first, err := m.openWritable(s)
	if err != nil {
		return nil, err
	}
	defer m.hangUp(first)
	if err := m.login(first.handle, s, pin); err != nil {
		return nil, err
	}
	p, err := m.makePair(first, u, spec)
	if err != nil {
		return nil, err
	}
	k, err := m.prove(ctx, p, pin, opts)
	if err != nil {
		return nil, p.remove(err)
	}
	return k, nil
}

func (m *module) openWritable(s slot) (session, error) {
	const flags = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION
	handle, err := m.api.OpenSession(s.id, flags)
	if is(err, pkcs11.CKR_TOKEN_WRITE_PROTECTED) {
		return session{}, fault.Configf("pkcs11_key_not_made", "lift the protection with the vendor's own tool", "the token %s is write-protected", s.uri())
	}
	return session{handle, origin{slot: s, flags: flags}}, called("C_OpenSession", err)
}

// makePair makes the pair, unless the token has its label or its id.
func (m *module) makePair(first session, u URI, spec KeySpec) (p pair, err error) {
	r := newRecipe(spec, u.ID, u.Object)
	v := view{m.api, first.handle}
	if err := v.free(first.slot, u); err != nil {
		return p, err
	}
	p = pair{session: first, api: m.api, uri: u}
	if p.public, p.private, err = r.make(m.api, first.handle); err != nil {
		return p, notMade(first.slot, spec, err)
	}
	if err := v.compare(p, r.keyType); err != nil {
		return p, p.remove(err)
	}
	return p, nil
}

// free refuses a label or an id that any object of the token has.
func (v view) free(s slot, u URI) error {
	all, err := v.objects(nil)
	if err != nil {
		return err
	}
	for _, o := range all {
		if trim(o.label) == u.Object || o.id == u.ID {
			return fault.Configf("pkcs11_key_exists", "choose another label, or remove the old key with the vendor's own tool",
				"the token %s has the object %s already", s.uri(), o.uri(s))
		}
	}
	return nil
}

// notMade sorts the answers of C_GenerateKeyPair.
func notMade(s slot, spec KeySpec, err error) error {
	if passing(err) {
		return err
	}
	return fault.Configf("pkcs11_key_not_made", "choose another type, or make the key with the vendor's own tool",
		"the token %s does not make a %s key for this login: %w", s.uri(), string(spec), err)
}

// compare reads back what was made.
func (v view) compare(p pair, keyType string) error {
	key := object{handle: p.private}
	for kind, to := range map[uint]*string{pkcs11.CKA_ID: &key.id, pkcs11.CKA_LABEL: &key.label} {
		value, err := v.attribute(p.private, kind)
		if err != nil {
			return err
		}
		*to = string(value)
	}
	public, err := v.publicKey(key, p.slot, nil)
	if err != nil {
		return err
	}
	custody, err := v.custody(p.private)
	switch {
	case err != nil:
		return err
	case key.id != p.uri.ID || trim(key.label) != p.uri.Object || signer.KeyType(public.key) != keyType:
		return notAsAsked(p, "it is the %s key %s", signer.KeyType(public.key), key.uri(p.slot))
	case custody.Extractable == signer.Yes || custody.Sensitive == signer.No:
		return notAsAsked(p, "it can leave the token (%s)", custody)
	}
	return nil
}

func notAsAsked(p pair, format string, args ...any) error {
	return fault.Refusedf("pkcs11_key_not_made", "make the key with the vendor's own tool", "the token %s made another key than was asked for: "+format, append([]any{p.slot.uri()}, args...)...)
}

// prove opens the pair as sign does and makes a signature that its public half
// verifies.
func (m *module) prove(ctx context.Context, p pair, pin string, opts Options) (*tokenKey, error) {
	k, err := m.newKey(p.uri, pin, opts)
	if err != nil {
		return nil, err
	}
	if err := trial(ctx, k); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

func trial(ctx context.Context, k *tokenKey) error {
	guarded, err := signer.Guard(k, retry.Policy{Attempts: 1})
	if err != nil {
		return err
	}
	alg, err := signer.Usual(k.half.key)
	if err == nil {
		_, err = guarded.Sign(ctx, alg, []byte("a trial signature of signgate"))
	}
	return err
}

// remove takes the pair away again because of err.
func (p pair) remove(err error) error {
	private, public := p.api.DestroyObject(p.handle, p.private), p.api.DestroyObject(p.handle, p.public)
	if e := cmp.Or(private, public); e != nil {
		return fault.Undecidedf("pkcs11_key_not_made", "remove it with the vendor's own tool",
			"the new key %s is not usable and could not be removed again (%v): %w", p.uri, called("C_DestroyObject", e), err)
	}
	return explain(err, "the new key "+p.uri.String()+" is not usable and was removed again")
}
