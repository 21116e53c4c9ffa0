package kmstest

import "net/http"

// Fault is something that goes wrong with one request. It strikes after the
// request's signature was found right.
type Fault struct {
	failure  *apiError // answered in place of the operation's answer
	hang     bool
	truncate bool
	otherKey string
	deny     bool
	edit     func(answer)
	after    func(*Server) // what happens once the answer is made
}

// Inject makes the next requests of operation ("Sign", "GetPublicKey", …) go
// wrong, one fault each, in order. After them the service works again.
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

// Fail answers the error code with HTTP 400.
func Fail(code, message string) Fault { return Fault{failure: refuse(code, "%s", message)} }

// Throttle answers that there were too many requests.
func Throttle() Fault { return Fault{failure: throttled()} }

// Deny answers that the caller may not call the operation.
func Deny() Fault { return Fault{deny: true} }

// Expire answers that the session token has expired, to this request alone; the
// method ExpireToken does so from then on.
func Expire() Fault { return Fault{failure: expired()} }

// Internal answers a fault of the service with HTTP 500.
func Internal() Fault { return Fault{failure: internal()} }

// PendingDeletionDisabled answers in the second form that the service has for a
// key that waits for its deletion (key states, AWS KMS developer guide); the
// state PendingDeletion answers in the first.
func PendingDeletionDisabled(arn string) Fault {
	return Fail("DisabledException", arn+" is pending deletion.")
}

// Unavailable answers HTTP 503 with an error code that is not in the model,
// like a load balancer in front of the service.
func Unavailable() Fault {
	return Fault{failure: &apiError{http.StatusServiceUnavailable, "ServiceUnavailable", ""}}
}

// Hang answers nothing until the client gives up or the server is closed.
func Hang() Fault { return Fault{hang: true} }

// Truncate breaks the connection in the middle of the answer.
func Truncate() Fault { return Fault{truncate: true} }

// OtherKey serves the request with another key than the one it names.
func OtherKey(keyID string) Fault { return Fault{otherKey: keyID} }

// CorruptSignature flips a bit of the signature in the answer.
func CorruptSignature() Fault {
	return Fault{edit: func(a answer) {
		if sig, ok := a["Signature"].([]byte); ok {
			sig[len(sig)-1] ^= 1
		}
	}}
}

// Edit sets a member of the answer: Edit("SigningAlgorithm", "ECDSA_SHA_512").
func Edit(member string, value any) Fault {
	return Fault{edit: func(a answer) { a[member] = value }}
}

// MoveAlias answers the request and then makes the alias point to another key,
// for the next request to find.
func MoveAlias(name, keyID string) Fault {
	return Fault{after: func(s *Server) { s.Alias(name, keyID) }}
}
