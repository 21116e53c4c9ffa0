//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// modules holds each module of this process once, by its resolved path. It is
// the only state outside values in this package: C_Initialize belongs to the
// process, so a second caller must find what the first one did. Nothing leaves
// it but a module that failed to start, since a module is never finalised.
var modules = registry{entries: map[string]*entry{}}

type registry struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// start is how a module is started.
type start struct {
	path     string // resolved
	socket   string // of the p11-kit server, or ""
	initArgs string // the reserved argument of C_Initialize, or ""
}

// entry is a module that is starting, or started once ready is closed.
type entry struct {
	start
	ready  chan struct{}
	module *module
	err    error
}

// module is an initialised library.
type module struct {
	start
	api  *pkcs11.Ctx
	info pkcs11.Info

	complete bool // it has the functions that are not for signing

	mu       sync.Mutex        // held during each login, so that one PIN is never tried twice at a time
	rejected map[attempt]error // the PINs that tokens rejected
	accepted map[attempt]bool  // and those that they took
}

// load returns the module and starts it when it is the first to ask.
func (r *registry) load(ctx context.Context, s start) (*module, error) {
	r.mu.Lock()
	e := r.entries[s.path]
	if e == nil {
		e = &entry{start: s, ready: make(chan struct{})}
		r.entries[s.path] = e
		go r.start(e)
	}
	r.mu.Unlock()
	if e.start != s {
		return nil, fault.Configf("pkcs11_module_invalid", "use one pkcs11-socket and one pkcs11-init-args for a module",
			"the PKCS#11 module %s runs already with another socket or another argument", s.path)
	}
	select {
	case <-e.ready:
		return e.module, e.err
	case <-ctx.Done():
		return nil, late(ctx, "loading the PKCS#11 module "+s.path)
	}
}

func (r *registry) start(e *entry) {
	e.module, e.err = startModule(e.start)
	if e.err != nil {
		r.mu.Lock()
		delete(r.entries, e.path)
		r.mu.Unlock()
	}
	close(e.ready)
}

// startModule loads and initialises a library. One that is initialised already
// belongs to somebody else in this process and is used as it is.
func startModule(s start) (*module, error) {
	if err := inspect(s.path); err != nil {
		return nil, err
	}
	if err := s.announceSocket(); err != nil {
		return nil, err
	}
	complete, err := probe(s.path)
	if err != nil {
		return nil, err
	}
	lib := pkcs11.New(s.path)
	if lib == nil {
		return nil, unusable(s.path, "try again", "the library changed while it was loaded")
	}
	if err := s.initialise(lib); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return nil, s.notStarted(err)
	}
	info, err := lib.GetInfo()
	if err != nil {
		return nil, explain(called("C_GetInfo", err), "the PKCS#11 module "+s.path+" does not start")
	}
	m := &module{start: s, api: lib, info: info, complete: complete, rejected: map[attempt]error{}, accepted: map[attempt]bool{}}
	if s.socket != "" && m.disconnected() {
		return nil, m.noConnection()
	}
	return m, nil
}

func (s start) initialise(lib *pkcs11.Ctx) error {
	if s.initArgs == "" {
		return lib.Initialize()
	}
	return lib.Initialize(pkcs11.InitializeWithReserved(reserved(s.initArgs)))
}

func (s start) notStarted(err error) error {
	next := "check the module's own configuration file, environment variables and connection"
	switch {
	case s.socket != "":
		next = "see what the p11-kit server prints: it could not load its module, or lets in another user or group alone (--user, --group), or is no p11-kit server"
	case is(err, pkcs11.CKR_ARGUMENTS_BAD):
		return fault.Configf("pkcs11_module_invalid", "correct pkcs11-init-args, which some modules need and others refuse",
			"the PKCS#11 module %s refuses its reserved argument: %w", s.path, called("C_Initialize", err))
	}
	return fault.Undecidedf("pkcs11_device", next, "the PKCS#11 module %s does not start: %w", s.path, called("C_Initialize", err))
}

// within is inside with a goroutine for this one call.
func within[T any](ctx context.Context, what string, f func() (T, error), abandon func(T)) (T, error) {
	return inside(ctx, what, func(job func()) { go job() }, f, abandon)
}

// inside runs f in a goroutine of its own, which run starts, and waits for it as
// long as ctx lasts. A call into a module cannot be interrupted, so f may go on
// afterwards; abandon is then called with its result.
func inside[T any](ctx context.Context, what string, run func(func()), f func() (T, error), abandon func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, late(ctx, what)
	}
	done := make(chan result)
	run(func() {
		value, err := f()
		select {
		case done <- result{value, err}:
		case <-ctx.Done():
			if err == nil {
				abandon(value)
			}
		}
	})
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, late(ctx, what)
	}
}

// late is the fault of a call that did not end in time.
func late(ctx context.Context, what string) error {
	return fault.Undecidedf("pkcs11_timeout", "check that the device is reachable, or raise the timeout input",
		"%s did not finish in time: %w", what, ctx.Err())
}
