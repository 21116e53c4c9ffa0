package vaulttest

import (
	"net/http"
	"strings"
)

// Fault is something that goes wrong with one request. It strikes after the
// token was found right, and for a login before it is looked at.
type Fault struct {
	failure  *apiError // answered in place of the operation's answer
	hang     bool
	truncate bool
	body     string // answered with HTTP 200 in place of JSON
	location string // answered with a redirect
	version  int    // signs with another version than asked for
	edit     func(data map[string]any)
}

// Inject makes the next requests of operation ("read", "sign", "login",
// "lookup-self", "revoke-self") go wrong, one fault each, in order. After them
// the service works again.
func (s *Server) Inject(operation string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[operation] = append(s.faults[operation], faults...)
}

func (s *Server) nextFault(operation string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.faults[operation]
	if len(queue) == 0 {
		return Fault{}
	}
	s.faults[operation] = queue[1:]
	return queue[0]
}

// Times returns n copies of f.
func Times(n int, f Fault) []Fault {
	faults := make([]Fault, n)
	for i := range faults {
		faults[i] = f
	}
	return faults
}

// Fail answers a status with error texts.
func Fail(status int, texts ...string) Fault { return Fault{failure: &apiError{status, texts}} }

// Throttle answers that a rate limit quota was exceeded.
func Throttle() Fault {
	return Fail(http.StatusTooManyRequests, "request path \"transit\": rate limit quota exceeded")
}

// Internal answers HTTP 500, as a node does that has lost its storage.
func Internal() Fault {
	return Fail(http.StatusInternalServerError, "1 error occurred:\n\t* internal error\n\n")
}

// Unavailable answers HTTP 503 like a load balancer without a node.
func Unavailable() Fault { return Fail(http.StatusServiceUnavailable) }

// Standby answers as a performance standby that does not forward.
func Standby() Fault { return Fail(473) }

// Behind answers that the node has not yet seen a write of another node.
func Behind() Fault {
	return Fail(http.StatusPreconditionFailed, "required index state not present")
}

// Redirect answers as a standby node that sends clients to the active one.
func Redirect(base string) Fault { return Fault{location: base} }

// Hang answers nothing until the client gives up or the server is closed.
func Hang() Fault { return Fault{hang: true} }

// Truncate breaks the connection in the middle of the answer.
func Truncate() Fault { return Fault{truncate: true} }

// Body answers a text in place of JSON.
func Body(text string) Fault { return Fault{body: text} }

// OtherVersion signs with another version of the key, and says so.
func OtherVersion(version int) Fault { return Fault{version: version} }

// CorruptSignature flips bits of the signature in the answer.
func CorruptSignature() Fault {
	return Fault{edit: func(data map[string]any) {
		if sig, ok := data["signature"].(string); ok {
			at := len(sig) - 8
			data["signature"] = sig[:at] + strings.Map(func(r rune) rune {
				if r == 'A' {
					return 'B'
				}
				return 'A'
			}, sig[at:at+4]) + sig[at+4:]
		}
	}}
}

// Edit sets a member of the answer's data: Edit("signature", "vault:v9:AAAA").
func Edit(member string, value any) Fault {
	return Fault{edit: func(data map[string]any) { data[member] = value }}
}
