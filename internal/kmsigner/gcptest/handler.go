package gcptest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const maxBody = 1 << 20

// answer is a response body.
type answer map[string]any

// apiError is an answer of the service that is no success.
type apiError struct {
	status  string // google.rpc.Code
	message string
	details []any
}

// statuses has the HTTP status of each code (google/rpc/code.proto).
var statuses = map[string]int{
	"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
	"ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "UNIMPLEMENTED": 501,
	"UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}

func refuse(status, format string, args ...any) *apiError {
	return &apiError{status: status, message: fmt.Sprintf(format, args...)}
}

func (e *apiError) answer() (int, answer) {
	code, ok := statuses[e.status]
	if !ok {
		code = http.StatusBadRequest
	}
	body := answer{"code": code, "message": e.message, "status": e.status}
	if len(e.details) > 0 {
		body["details"] = e.details
	}
	return code, answer{"error": body}
}

// request is a call that was understood.
type request struct {
	operation string
	resource  string
	query     url.Values
	body      []byte
}

const (
	keyForm     = `(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:]+)`
	versionForm = `(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[^/:]+)`
)

// routes has the methods, with the query parameters that they have.
var routes = []struct {
	operation, method string
	path              *regexp.Regexp
	query             string
}{
	{"cryptoKeyVersions.list", http.MethodGet, regexp.MustCompile(`^/v1/` + keyForm + `/cryptoKeyVersions$`), "pageSize pageToken filter"},
	{"getPublicKey", http.MethodGet, regexp.MustCompile(`^/v1/` + versionForm + `/publicKey$`), "publicKeyFormat"},
	{"asymmetricSign", http.MethodPost, regexp.MustCompile(`^/v1/` + versionForm + `:asymmetricSign$`), ""},
}

// ServeHTTP answers one request of the API or of a token host.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away
	}
	if s.serveTokens(w, r, body) {
		return
	}
	entry := Request{UserAgent: r.UserAgent()}
	out, fault, failure := s.serve(r, body, &entry)
	status := fault.status()
	if failure != nil {
		entry.Status = failure.status
		status, out = failure.answer()
	}
	s.record(entry)
	switch {
	case fault.hang:
		<-r.Context().Done()
	case fault.bare != 0:
		http.Error(w, "<html>try again</html>", fault.bare)
	default:
		write(w, status, out, fault)
	}
}

func (s *Server) record(entry Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, entry)
}

func write(w http.ResponseWriter, status int, out answer, fault Fault) {
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // answers hold strings, bytes, numbers and lists of them
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if fault.truncate {
		w.Write(text[:len(text)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // breaks the connection without a log line
	}
	w.Write(text) // a client that went away is its own problem
}

// serve checks the request from the outside in: token, route, scripted fault,
// operation.
func (s *Server) serve(r *http.Request, body []byte, entry *Request) (answer, Fault, *apiError) {
	if failure := s.authenticate(r); failure != nil {
		return nil, Fault{}, failure
	}
	req, failure := route(r, body)
	entry.Operation, entry.Resource = req.operation, req.resource
	if failure != nil {
		return nil, Fault{}, failure
	}
	fault := s.nextFault(req.operation)
	if fault.replaces() {
		return nil, fault, fault.failure
	}
	if fault.before != nil {
		fault.before(s)
	}
	out, failure := s.run(req)
	if failure == nil && fault.edit != nil {
		fault.edit(out)
	}
	return out, fault, failure
}

// authenticate compares the bearer token. The text is that of the service.
func (s *Server) authenticate(r *http.Request) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expired || r.Header.Get("Authorization") != "Bearer "+s.opts.Token {
		return refuse("UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
	}
	return nil
}

// route returns the operation that the request names.
func route(r *http.Request, body []byte) (request, *apiError) {
	for _, route := range routes {
		m := route.path.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil || r.Method != route.method {
			continue
		}
		req := request{route.operation, m[1], r.URL.Query(), body}
		for name, values := range req.query {
			if !strings.Contains(" "+route.query+" ", " "+name+" ") || len(values) != 1 {
				return req, refuse("INVALID_ARGUMENT", "Invalid query parameter %q.", name)
			}
		}
		if isPost := r.Method == http.MethodPost; isPost != (r.Header.Get("Content-Type") == "application/json") || !isPost && len(body) > 0 {
			return req, refuse("INVALID_ARGUMENT", "The body or its type does not fit %s.", route.operation)
		}
		return req, nil
	}
	return request{}, refuse("NOT_FOUND", "Method not found.")
}
