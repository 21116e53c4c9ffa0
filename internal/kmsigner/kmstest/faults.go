package kmstest

import "net/http"

// Fault is something that goes wrong with one request. It strikes after the
// request's signature was found right.
type Fault struct {
	failure  *apiError // answered in place of the operation's answer
	hang     bool
	truncate bool
	otherKey string
	edit     func(answer)
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
func Throttle() Fault {
	return Fail("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
}

// Deny answers that the caller may not call the operation.
func Deny() Fault {
	return Fail("AccessDeniedException", "User: arn:aws:sts::111122223333:assumed-role/ci/run is not authorized to perform this operation "+
		"because no identity-based policy allows it")
}

// Internal answers a fault of the service with HTTP 500.
func Internal() Fault {
	return Fault{failure: &apiError{http.StatusInternalServerError, "KMSInternalException", "An internal error occurred."}}
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

// OtherKey serves the request with another key than the one it names, as if an
// alias had been moved.
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
