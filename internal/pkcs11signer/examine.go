//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"crypto"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/signer"
)

// Examine looks at everything between here and a key, one line each, and signs
// nothing: socket, module, library, slots and tokens, and then, for the URI of a
// key, its token, session, login, key, attributes and mechanism. It stops at the
// first failure of these. An empty URI asks what is on the tokens: each key is a
// line then. The PIN is presented at most once, and not to one of several
// tokens.
func Examine(ctx context.Context, uri string, opts Options) []signer.Check {
	e := &examination{opts: opts}
	_, err := within(ctx, "the examination", func() (struct{}, error) { return struct{}{}, e.examine(ctx, uri) }, func(struct{}) {})
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.checks = append(e.checks, signer.Failed(e.busy, err))
	}
	return slices.Clone(e.checks)
}

// examination collects the lines. It goes on in its goroutine when the time is
// over, so the lines are guarded.
type examination struct {
	opts Options

	mu     sync.Mutex
	busy   string // the line that is being found out
	checks []signer.Check
}

func (e *examination) add(checks ...signer.Check) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checks = append(e.checks, checks...)
}

// on names the line that an error from now on belongs to.
func (e *examination) on(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = name
}

func (e *examination) examine(ctx context.Context, uri string) error {
	e.on("key")
	var u URI
	if uri != "" {
		var err error
		if u, err = ParseURI(uri); err != nil {
			return err
		}
	}
	m, err := e.module(ctx, u)
	if err != nil {
		return err
	}
	if err := e.tokens(m); err != nil {
		return err
	}
	if uri == "" {
		return e.inventory(m)
	}
	return e.key(m, u)
}

// module loads the module and says what it is.
func (e *examination) module(ctx context.Context, u URI) (*module, error) {
	e.on("module")
	path, err := e.opts.modulePath(u)
	if err != nil {
		return nil, err
	}
	if e.opts.Socket != "" {
		e.on("socket")
		if err := checkSocket(e.opts.Socket); err != nil {
			return nil, err
		}
		e.add(signer.Good("socket", "%s (%s)", e.opts.Socket, socketState(e.opts.Socket)))
	}
	e.on("module")
	s, err := e.opts.start(u)
	if err != nil {
		return nil, err
	}
	m, err := modules.load(ctx, s)
	if err != nil {
		return nil, err
	}
	e.add(signer.Good("module", "%s loads", path), signer.Good("library", "%s %s of %s, Cryptoki %s",
		trim(m.info.LibraryDescription), m.libraryVersion(), trim(m.info.ManufacturerID),
		version(m.info.CryptokiVersion.Major, m.info.CryptokiVersion.Minor)))
	return m, nil
}

// key examines the way to one key.
func (e *examination) key(m *module, u URI) error {
	e.on("token")
	s, err := m.selectToken(u)
	if err != nil {
		return err
	}
	e.on("session")
	first, err := m.openSession(s)
	if err != nil {
		return explain(err, "no session can be opened on "+s.uri().String())
	}
	defer m.hangUp(first)
	if first.flags&pkcs11.CKF_RW_SESSION == 0 {
		e.add(signer.Good("session", "read-only, which is all that signing needs"))
	} else {
		e.add(signer.Good("session", "read-write, because the token gives no other"))
	}
	if err := e.login(m, u, first); err != nil {
		return err
	}
	return e.attributes(m, first, u)
}

func (e *examination) login(m *module, u URI, first session) error {
	e.on("login")
	pin, err := e.opts.pin(u)
	if err != nil {
		return err
	}
	if err := m.login(first.handle, first.slot, pin); err != nil {
		return explain(err, "the login to "+first.slot.uri().String()+" failed")
	}
	if first.slot.token.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		e.add(signer.Good("login", "not needed"))
		return nil
	}
	e.add(signer.Good("login", "the token took the PIN"))
	return nil
}

// attributes says what the key is, how it is kept and whether the token can
// sign with it.
func (e *examination) attributes(m *module, first session, u URI) error {
	v, s := view{m.api, first.handle}, first.slot
	e.on("key")
	key, err := v.privateKey(s, u)
	if err != nil {
		return explain(err, "the key "+u.String()+" cannot be looked for")
	}
	e.add(signer.Good("key", "%s", printed(key.uri(s), u)))
	e.on("public half")
	public, err := v.publicKey(key, s, e.opts.PublicKeys)
	if err != nil {
		return explain(err, "the public half cannot be read")
	}
	e.add(signer.Good("public half", "from %s", public.source))
	e.on("attributes")
	custody, err := v.custody(key.handle)
	if err != nil {
		return explain(err, "the attributes of the key cannot be read")
	}
	check, err := e.opts.KeyPolicy.check(key.uri(s).String(), custody)
	if err != nil {
		return err
	}
	e.add(check)
	return e.mechanism(m, v, s, key, public.key)
}

// mechanism says whether token and key offer the mechanism that signing needs.
func (e *examination) mechanism(m *module, v view, s slot, key object, public crypto.PublicKey) error {
	e.on("mechanism")
	alg, err := signer.Usual(public)
	if err != nil {
		return err
	}
	need, _ := request(alg, public, nil)
	allowed, err := v.mechanisms(key.handle)
	if err != nil {
		return explain(err, "the mechanisms of the key cannot be read")
	}
	if len(allowed) > 0 && !slices.Contains(allowed, need.Mechanism) {
		return notAllowed(key.uri(s).String(), need.Mechanism, allowed)
	}
	e.add(m.offers(s, need))
	return nil
}

// offers asks the token about a mechanism.
func (m *module) offers(s slot, need *pkcs11.Mechanism) signer.Check {
	const line, next = "mechanism", "the trial signature tells"
	name := mechanismName(need.Mechanism)
	if !m.complete {
		return signer.Doubtful(line, next, "the module has no function to ask for mechanisms")
	}
	info, err := m.api.GetMechanismInfo(s.id, []*pkcs11.Mechanism{need})
	switch {
	case is(err, pkcs11.CKR_MECHANISM_INVALID):
		return signer.Doubtful(line, "if the trial signature fails, use another type of key, or another way to the token: p11-kit's socket hides mechanisms that it does not know",
			"the token does not offer %s", name)
	case err != nil:
		return signer.Doubtful(line, next, "the token does not say whether it offers %s: %v", name, called("C_GetMechanismInfo", err))
	case info.Flags&pkcs11.CKF_SIGN == 0:
		return signer.Doubtful(line, next, "the token lists %s without signing", name)
	}
	return signer.Good(line, "%s with keys of %d to %d bits", name, info.MinKeySize, info.MaxKeySize)
}
