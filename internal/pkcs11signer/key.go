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
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	s, err := opts.start(u)
	if err != nil {
		return nil, err
	}
	pin, err := opts.pin(u)
	if err != nil {
		return nil, err
	}
	m, err := modules.load(ctx, s)
	if err != nil {
		return nil, err
	}
	k, err := m.open(ctx, u, pin, opts)
	if err != nil {
		return nil, err
	}
	for _, w := range k.warnings {
		opts.warn(w)
	}
	return &Key{k}, nil
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
	public   crypto.PublicKey
	custody  signer.Custody
	allowed  []uint // mechanisms; empty for all
	warnings []string
	dismiss  sync.Once
}

func (m *module) open(ctx context.Context, u URI, pin string, opts Options) (*tokenKey, error) {
	return within(ctx, "opening the key "+u.String(), func() (*tokenKey, error) {
		k, err := m.newKey(u, pin, opts)
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

// describe reads what does not change about the key, and decides whether it may
// be used.
func (m *module) describe(s session, key object, opts Options) (*tokenKey, error) {
	v := view{m.api, s.handle}
	public, err := v.publicKey(key, s.slot, opts.PublicKeys)
	if err != nil {
		return nil, err
	}
	k := &tokenKey{id: identity(key.uri(s.slot)), public: public.key, crew: newCrew()}
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
	warning, err := policy.judge(k.id, k.custody)
	if warning != "" {
		k.warnings = append(k.warnings, warning)
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
func (k *tokenKey) Public() crypto.PublicKey { return k.public }

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
	if !alg.Fits(k.public) {
		return signer.Signature{}, signer.ErrUnsupported(k.id, alg, k.public)
	}
	mechanism, data := request(alg, k.public, message)
	if len(k.allowed) > 0 && !slices.Contains(k.allowed, mechanism.Mechanism) {
		return signer.Signature{}, notAllowed(k.id, mechanism.Mechanism, k.allowed)
	}
	what := "signing with " + k.id
	raw, err := inside(ctx, what, k.crew.run, func() ([]byte, error) { return k.conn.sign(ctx, mechanism, data) }, func([]byte) {})
	if is(err, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID) {
		return signer.Signature{}, signer.ErrUnsupported(k.id, alg, k.public)
	}
	if err != nil {
		return signer.Signature{}, explain(err, what+" failed")
	}
	sig, err := encode(k.public, raw)
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
