//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"crypto"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// closeTime is how long Close waits for a module.
const closeTime = 5 * time.Second

// Open reaches the private key that the PKCS#11 URI names: it loads the module,
// finds the token, logs in, finds the key and fetches its public half. Mistakes
// in the URI and the options, a wrong PIN among them, are configuration faults;
// a device that does not answer is undecided. Open makes one attempt and
// presents the PIN once.
func Open(ctx context.Context, uri string, opts Options) (*Key, error) {
	m, u, pin, err := opts.reach(ctx, uri)
	if err != nil {
		return nil, err
	}
	k, err := m.open(ctx, u, pin, opts)
	if err != nil {
		return nil, err
	}
	return opts.tell(k), nil
}

// tell hands a key out, with what there is to tell about it.
func (o Options) tell(k *tokenKey) *Key {
	for _, w := range k.warnings {
		o.warn(w)
	}
	return &Key{k}
}

// reach loads the module that the URI and the options name, and reads the PIN,
// which may come through a pipe.
func (o Options) reach(ctx context.Context, uri string) (*module, URI, string, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, u, "", err
	}
	s, err := o.start(u)
	if err != nil {
		return nil, u, "", err
	}
	pin, err := within(ctx, "reading the PIN", func() (string, error) { return o.pin(u) }, func(string) {})
	if err != nil {
		return nil, u, "", err
	}
	m, err := modules.load(ctx, s)
	return m, u, pin, err
}

// start returns the module that the options and the URI agree on.
func (o Options) start(u URI) (start, error) {
	path, err := o.modulePath(u)
	s := start{path: path, socket: o.Socket, initArgs: o.InitArgs}
	if err != nil || o.Socket == "" {
		return s, err
	}
	if err := checkSocket(o.Socket); err != nil {
		return s, err
	}
	return s, s.checkClient()
}

// tokenKey is the backend of a Key.
type tokenKey struct {
	conn     *connection
	crew     *crew
	id       string
	half     half
	custody  signer.Custody
	allowed  []uint // mechanisms; empty for all
	warnings []string
	dismiss  sync.Once
}

func (m *module) open(ctx context.Context, u URI, pin string, opts Options) (*tokenKey, error) {
	return within(ctx, "opening the key "+u.String(), func() (*tokenKey, error) {
		k, err := m.newKey(u, pin, opts)
		if err == nil && !k.half.proved() {
			err = k.prove(ctx)
		}
		return k, explain(err, "the key "+u.String()+" cannot be opened")
	}, func(k *tokenKey) { k.conn.pool.close() })
}

func (m *module) newKey(u URI, pin string, opts Options) (*tokenKey, error) {
	s, key, err := m.dial(u, pin)
	if err != nil {
		return nil, err
	}
	k, err := m.describe(s, key, opts)
	if err != nil {
		m.hangUp(s)
		return nil, err
	}
	size := poolSize(s.slot.token.MaxSessionCount)
	if k.conn.always {
		size = 1 // one PIN prompt at a time
	}
	k.conn.want, k.conn.pin = narrow(u, s.slot, key), pin
	k.conn.pool = newPool(m.api, s, size)
	return k, nil
}

// prove makes a signature with a key whose public half nothing on the token ties
// to it: what is printed of such a key ends up as somebody's trusted key.
func (k *tokenKey) prove(ctx context.Context) error {
	err := trial(ctx, k)
	if err == nil {
		return nil
	}
	k.Close()
	if fault.CodeOf(err) != "bad_signature" {
		return err
	}
	return fault.Refusedf("bad_signature", "give the right one in pkcs11-public-key, or import it into the token with the id of the private key",
		"the public key from %s is not that of the private key %s: it does not verify what that signs", k.half.source, k.id)
}

// describe reads what does not change about the key, and decides whether it may
// be used.
func (m *module) describe(s session, key object, opts Options) (*tokenKey, error) {
	v := view{m.api, s.handle}
	public, err := v.publicKey(key, s.slot, opts.PublicKeys)
	if err != nil {
		return nil, err
	}
	k := &tokenKey{id: identity(key.uri(s.slot)), half: public, crew: newCrew()}
	if w := pinWarning(s.slot); w != "" {
		k.warnings = append(k.warnings, w)
	}
	if err := k.read(v, key, opts.KeyPolicy); err != nil {
		return nil, err
	}
	always := k.custody.AlwaysAuthenticate == signer.Yes
	if opts.KeyPolicy == Off {
		if always, err = v.truth(key.handle, pkcs11.CKA_ALWAYS_AUTHENTICATE); err != nil {
			return nil, err
		}
	}
	k.conn = &connection{module: m, always: always}
	return k, nil
}

// read reads how the key is kept and what it may be used for.
func (k *tokenKey) read(v view, key object, policy KeyPolicy) (err error) {
	if k.allowed, err = v.mechanisms(key.handle); err != nil || policy == Off {
		return err
	}
	if k.custody, err = v.custody(key.handle); err != nil {
		return err
	}
	doubt, err := policy.judge(k.id, k.custody)
	if doubt != "" {
		k.warnings = append(k.warnings, doubt+"; "+makeAnother)
	}
	return err
}

// narrow returns the URI that finds this token and this key again, in whatever
// slot it comes back.
func narrow(u URI, s slot, key object) URI {
	n := key.uri(s)
	n.Manufacturer, n.Model, n.SlotID = trim(s.token.ManufacturerID), trim(s.token.Model), u.SlotID
	return n
}

// identity is the part of a key's URI that a new label does not change. A token
// without a serial or a key without an id has only its label.
func identity(u URI) string {
	if strings.Trim(u.Serial, "0") != "" { // NSS and software TPMs give every token the serial 0
		u.Token = ""
	}
	if u.ID != "" {
		u.Object = ""
	}
	return u.String()
}

// ID returns the token's serial and the key's id as a URI.
func (k *tokenKey) ID() string { return k.id }

// Public returns the public key.
func (k *tokenKey) Public() crypto.PublicKey { return k.half.key }

// URI names the key for the input key, on its token; it has no PIN.
func (k *tokenKey) URI() string {
	u := k.conn.want
	u.Manufacturer, u.Model = "", "" // the serial says as much
	return u.String()
}

// Custody returns what the module says about how the key is kept. It is the
// zero value under the policy Off.
func (k *tokenKey) Custody() signer.Custody { return k.custody }

// Sign signs message with the token. When ctx ends first, the call into the
// module is left behind, see the package comment.
func (k *tokenKey) Sign(ctx context.Context, alg signer.Algorithm, message []byte) (signer.Signature, error) {
	if !alg.Fits(k.half.key) {
		return signer.Signature{}, signer.ErrUnsupported(k.id, alg, k.half.key)
	}
	mechanism, data := request(alg, k.half.key, message)
	if len(k.allowed) > 0 && !slices.Contains(k.allowed, mechanism.Mechanism) {
		return signer.Signature{}, notAllowed(k.id, mechanism.Mechanism, k.allowed)
	}
	what := "signing with " + k.id
	raw, err := inside(ctx, what, k.crew.run, func() ([]byte, error) { return k.conn.sign(ctx, mechanism, data) }, func([]byte) {})
	if is(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID) {
		return signer.Signature{}, signer.ErrUnsupported(k.id, alg, k.half.key)
	}
	if err != nil {
		return signer.Signature{}, explain(err, what+" failed")
	}
	sig, err := encode(k.half.key, raw)
	return signer.Signature{Bytes: sig, KeyID: k.id, Algorithm: alg}, err
}

// Close gives the sessions back.
func (k *tokenKey) Close() error {
	k.dismiss.Do(func() { close(k.crew.end) })
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_, err := within(ctx, "closing the sessions of "+k.id, func() (struct{}, error) {
		k.conn.pool.close()
		return struct{}{}, nil
	}, func(struct{}) {})
	return err
}
