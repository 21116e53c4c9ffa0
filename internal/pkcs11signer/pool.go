//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
)

// mostSessions bounds the sessions of one key. A session does one signature at
// a time.
const mostSessions = 4

// pool is the sessions that sign with one key. Every place of the pool is
// either an open session, idle or in use, or a spare. A place is dropped for
// good when the token has no session left for it.
type pool struct {
	api   *pkcs11.Ctx
	idle  chan session
	spare chan struct{}

	mu     sync.Mutex
	origin origin
	open   int // sessions that are open now
	closed bool
}

// origin is what new sessions are opened with. It is replaced as a whole when
// the token was lost and found again; sessions of an older generation are
// closed when they come back.
type origin struct {
	generation int
	slot       slot
	flags      uint
	key        pkcs11.ObjectHandle
}

// session is an open session and the key's handle in it.
type session struct {
	handle pkcs11.SessionHandle
	origin
}

var errClosed = fault.Undecidedf("pkcs11_device", "open the key again", "the key is closed")

// newPool returns a pool of size places, the first of which is taken by s.
func newPool(api *pkcs11.Ctx, s session, size int) *pool {
	p := &pool{api: api, origin: s.origin, open: 1, idle: make(chan session, size), spare: make(chan struct{}, size)}
	p.idle <- s
	for range size - 1 {
		p.spare <- struct{}{}
	}
	return p
}

// poolSize honours the limit that a token states. Zero means that there is
// none, and so do several absurd numbers.
func poolSize(limit uint) int {
	if limit == 0 || limit > mostSessions {
		return mostSessions
	}
	return int(limit)
}

// take returns an idle session or opens another, and waits while all are in
// use. On an error it returns the generation that failed.
func (p *pool) take(ctx context.Context) (session, error) {
	for {
		if s, found := p.free(); found {
			return s, nil
		}
		select {
		case s := <-p.idle:
			if s.generation == p.generation() {
				return s, nil
			}
			p.give(s, errClosed)
		case <-p.spare:
			s, err := p.another()
			if is(err, pkcs11.CKR_SESSION_COUNT) && p.inUse() {
				continue // the token has fewer sessions than it says: do without this place
			}
			if err != nil {
				p.spare <- struct{}{}
			}
			return s, err
		case <-ctx.Done():
			return session{}, late(ctx, "waiting for a session of the token")
		}
	}
}

// free returns an idle session. Those that were opened before the token was
// lost are closed on the way.
func (p *pool) free() (session, bool) {
	for {
		select {
		case s := <-p.idle:
			if s.generation == p.generation() {
				return s, true
			}
			p.give(s, errClosed)
		default:
			return session{}, false
		}
	}
}

// another opens a session.
func (p *pool) another() (session, error) {
	p.mu.Lock()
	s, closed := session{origin: p.origin}, p.closed
	p.mu.Unlock()
	if closed {
		return s, errClosed
	}
	handle, err := p.api.OpenSession(s.slot.id, s.flags)
	if err != nil {
		return s, called("C_OpenSession", err)
	}
	s.handle = handle
	p.mu.Lock()
	p.open++
	p.mu.Unlock()
	return s, nil
}

func (p *pool) inUse() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open > 0
}

// give returns a session. One that failed is closed, whatever the failure was:
// it may have an operation half done.
func (p *pool) give(s session, err error) {
	p.mu.Lock()
	keep := err == nil && !p.closed && s.generation == p.origin.generation
	if keep {
		p.idle <- s // has a place for every session, so it does not block
	} else {
		p.open--
	}
	p.mu.Unlock()
	if !keep {
		_ = p.api.CloseSession(s.handle) // a dead session does not close; nothing follows from that
		p.spare <- struct{}{}
	}
}

// renew makes s, which the caller opened outside the pool, the first session of
// the next generation; one caller at a time. It waits for a place: idle sessions
// of the lost generation give theirs, those in use when they come back. Until
// then nothing changes, so that a caller who gives up leaves no generation
// behind that has no session.
func (p *pool) renew(ctx context.Context, s session) error {
	for {
		select {
		case <-p.spare:
			p.mu.Lock()
			s.generation = p.origin.generation + 1
			p.origin = s.origin
			p.open++
			p.mu.Unlock()
			p.give(s, nil)
			return nil
		case lost := <-p.idle:
			p.give(lost, errClosed)
		case <-ctx.Done():
			_ = p.api.CloseSession(s.handle)
			return late(ctx, "waiting for a session of the token")
		}
	}
}

// drain closes the sessions that are idle.
func (p *pool) drain() {
	for {
		select {
		case s := <-p.idle:
			p.give(s, errClosed)
		default:
			return
		}
	}
}

// close closes the idle sessions now and the others when they come back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drain()
}

// generation returns the current generation.
func (p *pool) generation() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.origin.generation
}
