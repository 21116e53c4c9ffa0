//go:build linux && cgo

package pkcs11signer

import (
	"encoding/binary"
	"regexp"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// view is what one session sees on a token.
type view struct {
	api     *pkcs11.Ctx
	session pkcs11.SessionHandle
}

// object is a private key on the token.
type object struct {
	handle    pkcs11.ObjectHandle
	id, label string // CKA_ID and CKA_LABEL as the token has them
}

// uri names the key on its token.
func (o object) uri(s slot) URI {
	u := s.uri()
	u.ID, u.Object = o.id, trim(o.label)
	return u
}

// privateKey returns the one private key that u names.
func (v view) privateKey(s slot, u URI) (object, error) {
	found, err := v.selected(pkcs11.CKO_PRIVATE_KEY, u)
	if err != nil {
		return object{}, err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return v.noKey(s, u)
	}
	return object{}, fault.Configf("pkcs11_key_ambiguous", "name one of them by its id in the key URI, or give each an id of its own with the vendor's tool",
		"%d private keys of the token %s match %s: %s", len(found), s.uri(), u, candidates(found, s, u))
}

// selected returns the objects of a class that u names.
func (v view) selected(class uint, u URI) ([]object, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if u.ID != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, u.ID))
	}
	all, err := v.objects(template)
	if err != nil {
		return nil, err
	}
	var found []object
	for _, o := range all {
		if same(u.Object, o.label) {
			found = append(found, o)
		}
	}
	return found, nil
}

// noKey explains why no key was found, with the keys that there are.
func (v view) noKey(s slot, u URI) (object, error) {
	all, err := v.selected(pkcs11.CKO_PRIVATE_KEY, URI{})
	if err != nil {
		return object{}, err
	}
	if len(all) == 0 {
		return object{}, fault.Configf("pkcs11_key_not_found", "make a key on the token, or use the PIN of the user who may see it",
			"the token %s shows no private key to this login", s.uri())
	}
	next := "name one of them in the key URI"
	if plainHex.MatchString(u.ID) {
		next += "; bytes of an id are written %01%02, not 0102"
	}
	return object{}, fault.Configf("pkcs11_key_not_found", next,
		"no private key of the token %s matches %s; it has %s", s.uri(), u, candidates(all, s, u))
}

var plainHex = regexp.MustCompile(`^([0-9A-Fa-f]{2})+$`)

func candidates(keys []object, s slot, u URI) string {
	var uris []URI
	for _, k := range keys {
		c := k.uri(s)
		c.SlotID, c.ModulePath = u.SlotID, u.ModulePath
		uris = append(uris, c)
	}
	return list(uris)
}

// objects returns what matches the template with its id and label.
func (v view) objects(template []*pkcs11.Attribute) ([]object, error) {
	handles, err := v.find(template)
	if err != nil {
		return nil, err
	}
	var found []object
	for _, h := range handles {
		values, err := v.attributes(h, pkcs11.CKA_ID, pkcs11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		found = append(found, object{h, string(values[0]), string(values[1])})
	}
	return found, nil
}

// find returns the handles of what matches the template.
func (v view) find(template []*pkcs11.Attribute) (found []pkcs11.ObjectHandle, err error) {
	const most = 10000
	if err := v.api.FindObjectsInit(v.session, template); err != nil {
		return nil, called("C_FindObjectsInit", err)
	}
	defer func() {
		if e := v.api.FindObjectsFinal(v.session); err == nil {
			err = called("C_FindObjectsFinal", e)
		}
	}()
	for len(found) < most {
		more, _, err := v.api.FindObjects(v.session, 100)
		if err != nil {
			return nil, called("C_FindObjects", err)
		}
		if len(more) == 0 {
			return found, nil
		}
		found = append(found, more...)
	}
	return nil, fault.Undecidedf("pkcs11_device", "name the key by its id", "the token lists more than %d objects for one search", most)
}

// attributes reads attributes; one that the object does not have, or does not
// show, is empty. One that is unknown spoils the answer for all, and then they
// are read singly.
func (v view) attributes(h pkcs11.ObjectHandle, kinds ...uint) ([][]byte, error) {
	template := make([]*pkcs11.Attribute, len(kinds))
	for i, kind := range kinds {
		template[i] = pkcs11.NewAttribute(kind, nil)
	}
	got, err := v.api.GetAttributeValue(v.session, h, template)
	withheld := is(err, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_ATTRIBUTE_SENSITIVE)
	values := make([][]byte, len(kinds))
	switch {
	case withheld && len(kinds) > 1:
		for i, kind := range kinds {
			if values[i], err = v.attribute(h, kind); err != nil {
				return nil, err
			}
		}
	case err != nil && !withheld:
		return nil, called("C_GetAttributeValue", err)
	case len(got) == len(kinds):
		for i := range got {
			values[i] = got[i].Value
		}
	}
	return values, nil
}

// attribute reads one attribute.
func (v view) attribute(h pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	values, err := v.attributes(h, kind)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// number reads an attribute that is a CK_ULONG.
func (v view) number(h pkcs11.ObjectHandle, kind uint) (uint, error) {
	value, err := v.attribute(h, kind)
	switch {
	case err != nil:
		return 0, err
	case len(value) == 8:
		return uint(binary.NativeEndian.Uint64(value)), nil
	case len(value) == 4:
		return uint(binary.NativeEndian.Uint32(value)), nil
	}
	return 0, fault.Undecidedf("pkcs11_device", "look for an update of the module", "the token returned the attribute 0x%X with %d bytes, not as a number", kind, len(value))
}

// truth reads an attribute that is a CK_BBOOL; absent is false.
func (v view) truth(h pkcs11.ObjectHandle, kind uint) (bool, error) {
	value, err := v.attribute(h, kind)
	return len(value) == 1 && value[0] != 0, err
}

// answer reads a CK_BBOOL; anything else than CK_TRUE and CK_FALSE is unknown.
func answer(value []byte) signer.Answer {
	switch {
	case len(value) != 1 || value[0] > 1:
		return signer.Unknown
	case value[0] == 1:
		return signer.Yes
	}
	return signer.No
}

// mechanisms reads CKA_ALLOWED_MECHANISMS; nothing means that there is no
// restriction.
func (v view) mechanisms(h pkcs11.ObjectHandle) ([]uint, error) {
	value, err := v.attribute(h, pkcs11.CKA_ALLOWED_MECHANISMS)
	var all []uint
	for ; len(value) >= 8; value = value[8:] {
		all = append(all, uint(binary.NativeEndian.Uint64(value)))
	}
	return all, err
}

// custody reads how the private key is kept.
func (v view) custody(h pkcs11.ObjectHandle) (signer.Custody, error) {
	values, err := v.attributes(h, pkcs11.CKA_SENSITIVE, pkcs11.CKA_EXTRACTABLE, pkcs11.CKA_NEVER_EXTRACTABLE,
		pkcs11.CKA_LOCAL, pkcs11.CKA_ALWAYS_AUTHENTICATE)
	if err != nil {
		return signer.Custody{}, err
	}
	return signer.Custody{
		Sensitive: answer(values[0]), Extractable: answer(values[1]), NeverExtractable: answer(values[2]),
		Local: answer(values[3]), AlwaysAuthenticate: answer(values[4]),
	}, nil
}
