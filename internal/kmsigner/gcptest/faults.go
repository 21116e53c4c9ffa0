package gcptest

import "net/http"

// Fault is something that goes wrong with one request. It strikes after the
// request's token was found right.
type Fault struct {
	failure  *apiError // answered in place of the operation's answer
	bare     int       // an HTTP status without Google's body
	hang     bool
	truncate bool
	edit     func(answer)
	before   func(*Server)
}

// Inject makes the next requests of operation ("asymmetricSign",
// "getPublicKey", "cryptoKeyVersions.list") go wrong, one fault each, in order.
// After them the service works again.
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

// Fail answers an error of the status ("INVALID_ARGUMENT").
func Fail(status, message string) Fault { return Fault{failure: refuse(status, "%s", message)} }

// Detail answers an error with a google.rpc.ErrorInfo of the reason.
func Detail(status, message, reason string) Fault {
	f := Fail(status, message)
	f.failure.details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
		"metadata": map[string]string{"service": "cloudkms.googleapis.com"},
	}}
	return f
}

// Throttle answers that a quota is used up, for the time of delay ("0.01s").
func Throttle(delay string) Fault {
	f := Fail("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic requests per minute' of service 'cloudkms.googleapis.com'.")
	if delay != "" {
		f.failure.details = []any{map[string]string{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}}
	}
	return f
}

// Deny answers that the caller lacks the permission, in the words of the
// service, which does not say whether the resource exists.
func Deny(permission, resource string) Fault {
	return Detail("PERMISSION_DENIED", "Permission '"+permission+"' denied on resource '"+resource+"' (or it may not exist).", "IAM_PERMISSION_DENIED")
}

// Internal answers a fault of the service with HTTP 500.
func Internal() Fault { return Fail("INTERNAL", "Internal error encountered.") }

// Unavailable answers a fault of the service with HTTP 503.
func Unavailable() Fault { return Fail("UNAVAILABLE", "The service is currently unavailable.") }

// LoadBalancer answers an HTTP status with a page, like what stands before a
// service.
func LoadBalancer(status int) Fault { return Fault{bare: status} }

// Hang answers nothing until the client gives up or the server is closed.
func Hang() Fault { return Fault{hang: true} }

// Truncate breaks the connection in the middle of the answer.
func Truncate() Fault { return Fault{truncate: true} }

// Edit sets a member of the answer, and removes it when value is nil:
// Edit("name", other), Edit("signatureCrc32c", nil).
func Edit(member string, value any) Fault {
	return Fault{edit: func(a answer) {
		a[member] = value
		if value == nil {
			delete(a, member)
		}
	}}
}

// Change changes the answer as f does.
func Change(f func(answer map[string]any)) Fault { return Fault{edit: func(a answer) { f(a) }} }

// CorruptSignature flips a bit of the signature in the answer, on the way
// (resum false), or in the service, which then gives it a checksum that fits.
func CorruptSignature(resum bool) Fault {
	return Fault{edit: func(a answer) {
		if sig, ok := a["signature"].([]byte); ok {
			sig[len(sig)-1] ^= 1
			if resum {
				a["signatureCrc32c"] = checksum(sig)
			}
		}
	}}
}

// Before runs f on the server before the request is answered, like a version
// that is disabled between two calls.
func Before(f func(*Server)) Fault { return Fault{before: f} }

func (f Fault) replaces() bool { return f.hang || f.bare != 0 || f.failure != nil }

func (f Fault) status() int {
	if f.bare != 0 {
		return f.bare
	}
	return http.StatusOK
}
