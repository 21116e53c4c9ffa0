package vaulttest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const maxBody = 32 << 20 // max_request_size

// call is a request that was understood.
type call struct {
	operation, namespace, mount, name, hash string
	token                                   string
	body                                    []byte
}

func (c call) place() place { return place{c.namespace, c.mount} }

// result is the part of an answer that depends on the operation. Both nil is
// HTTP 204.
type result struct{ data, auth map[string]any }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	entry := Request{Path: path, Namespace: strings.Trim(r.Header.Get("X-Vault-Namespace"), "/"), Token: r.Header.Get("X-Vault-Token"), Body: string(body)}
	c, failure := s.route(r.Method, path, entry.Namespace)
	c.token, c.body, entry.Operation = entry.Token, body, c.operation
	var out result
	var fault Fault
	if failure == nil {
		out, fault, failure = s.serve(c, path)
	}
	switch {
	case fault.hang:
		s.record(entry)
		<-r.Context().Done()
	case fault.location != "":
		entry.Status = http.StatusTemporaryRedirect
		s.record(entry)
		http.Redirect(w, r, fault.location+r.URL.Path, entry.Status)
	default:
		s.answer(w, entry, out, fault, failure)
	}
}

func (s *Server) record(entry Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, entry)
}

// answer writes the envelope of all answers, or that of errors.
func (s *Server) answer(w http.ResponseWriter, entry Request, out result, fault Fault, failure *apiError) {
	var text []byte
	switch {
	case failure != nil:
		entry.Status, text = failure.status, failure.body()
	case fault.body != "":
		entry.Status, text = http.StatusOK, []byte(fault.body)
	case out.data == nil && out.auth == nil:
		entry.Status = http.StatusNoContent
	default:
		entry.Status, entry.RequestID = http.StatusOK, newUUID()
		text = encode(map[string]any{"request_id": entry.RequestID, "lease_id": "", "renewable": false, "lease_duration": 0,
			"data": out.data, "wrap_info": nil, "warnings": nil, "auth": out.auth})
	}
	s.record(entry)
	w.Header().Set("Content-Type", "application/json")
	if len(text) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	}
	w.WriteHeader(entry.Status)
	if fault.truncate {
		w.Write(text[:len(text)/2])
		panic(http.ErrAbortHandler) // breaks the connection without a log line
	}
	w.Write(text) // a client that went away is its own problem
}

// route tells what a request asks for. A mount that does not exist is one.
func (s *Server) route(method, path, namespace string) (call, *apiError) {
	parts := strings.Split(path, "/")
	c := call{namespace: namespace}
	switch n := len(parts); {
	case method == http.MethodGet && path == "auth/token/lookup-self":
		c.operation = "lookup-self"
	case method == http.MethodPost && path == "auth/token/revoke-self":
		c.operation = "revoke-self"
	case method == http.MethodPost && n > 2 && parts[0] == "auth" && parts[n-1] == "login":
		c.operation, c.mount = "login", strings.Join(parts[1:n-1], "/")
	case method == http.MethodGet && n > 2 && parts[n-2] == "keys":
		c.operation, c.mount, c.name = "read", strings.Join(parts[:n-2], "/"), parts[n-1]
	case method == http.MethodPost && n > 2 && parts[n-2] == "sign":
		c.operation, c.mount, c.name = "sign", strings.Join(parts[:n-2], "/"), parts[n-1]
	case method == http.MethodPost && n > 3 && parts[n-3] == "sign":
		c.operation, c.mount, c.name, c.hash = "sign", strings.Join(parts[:n-3], "/"), parts[n-2], parts[n-1]
	default:
		return c, noHandler(path)
	}
	return c, nil
}

func noHandler(path string) *apiError {
	return &apiError{http.StatusNotFound, []string{fmt.Sprintf("no handler for route %q. route entry not found.", path)}}
}

// serve checks the request from the outside in: seal, token and policy, mount,
// scripted fault, operation.
func (s *Server) serve(c call, path string) (result, Fault, *apiError) {
	fault := s.nextFault(c.operation)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return result{}, Fault{}, &apiError{http.StatusServiceUnavailable, []string{"Vault is sealed"}}
	}
	if c.operation != "login" {
		if failure := s.authorize(c, path); failure != nil {
			return result{}, Fault{}, failure
		}
	}
	if fault.failure != nil || fault.hang || fault.location != "" {
		return result{}, fault, fault.failure
	}
	out, failure := s.run(c, path, fault)
	if failure == nil && fault.edit != nil && out.data != nil {
		fault.edit(out.data)
	}
	return out, fault, failure
}

func (s *Server) run(c call, path string, fault Fault) (out result, failure *apiError) {
	switch c.operation {
	case "login":
		out.auth, failure = s.login(c)
	case "lookup-self":
		out.data = s.tokens[c.token].describe()
	case "revoke-self":
		delete(s.tokens, c.token)
	case "read", "sign":
		if !s.mounts[c.place()] {
			return out, noHandler(path)
		}
		if c.operation == "sign" {
			out.data, failure = s.sign(c.place(), c.name, c.hash, c.body, fault)
			return out, failure
		}
		var k *key
		if k, failure = s.find(c.place(), c.name); failure == nil {
			out.data = k.read()
		}
	}
	return out, failure
}

// apiError is an answer of the service that is no success.
type apiError struct {
	status int
	errors []string
}

// refuse returns an error of the caller's making.
func refuse(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, []string{fmt.Sprintf(format, args...)}}
}

func (e *apiError) body() []byte {
	if e.errors == nil {
		return encode(map[string]any{"errors": []string{}})
	}
	return encode(map[string]any{"errors": e.errors})
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // answers hold strings, numbers and maps of them
	}
	return append(text, '\n')
}

// newUUID returns a random UUID (RFC 9562 version 4).
func newUUID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
