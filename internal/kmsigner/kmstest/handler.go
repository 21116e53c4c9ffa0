package kmstest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	contentType  = "application/x-amz-json-1.1"
	targetPrefix = "TrentService."
	maxBody      = 1 << 20
)

// answer is a response body.
type answer map[string]any

// ServeHTTP answers one request of the wire protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := Request{RequestID: newUUID()}
	w.Header().Set("x-amzn-RequestId", entry.RequestID)
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away
	}
	out, fault, failure := s.serve(r, body, &entry)
	if fault.hang {
		s.record(entry)
		<-r.Context().Done()
		return
	}
	status := http.StatusOK
	if failure != nil {
		out, status, entry.Error = failure.answer(), failure.status, failure.code
	}
	s.record(entry)
	write(w, status, out, fault)
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
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if fault.truncate {
		w.Write(text[:len(text)/2])
		panic(http.ErrAbortHandler) // breaks the connection without a log line
	}
	w.Write(text) // a client that went away is its own problem
}

// serve checks the request from the outside in: wire, signature, scripted
// fault, operation.
func (s *Server) serve(r *http.Request, body []byte, entry *Request) (answer, Fault, *apiError) {
	operation, failure := route(r)
	if failure != nil {
		return nil, Fault{}, failure
	}
	entry.Operation = operation
	if failure := s.authenticate(r, body); failure != nil {
		return nil, Fault{}, failure
	}
	fault := s.nextFault(operation)
	if fault.hang || fault.failure != nil {
		return nil, fault, fault.failure
	}
	in, failure := decode(operation, body)
	entry.KeyID, entry.DryRun = in.KeyID, in.DryRun
	if failure != nil {
		return nil, fault, failure
	}
	if fault.deny {
		return nil, fault, denied(operation, s.resource(in.KeyID))
	}
	if fault.otherKey != "" {
		in.KeyID = fault.otherKey
	}
	out, failure := s.run(operation, in)
	if failure == nil && fault.edit != nil {
		fault.edit(out)
	}
	if fault.after != nil {
		fault.after(s)
	}
	return out, fault, failure
}

// route returns the operation that the request names.
func route(r *http.Request) (string, *apiError) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if _, known := operations[operation]; !ok || !known {
		return "", refuse("UnknownOperationException", "")
	}
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != contentType {
		return "", refuse("UnknownOperationException", "")
	}
	return operation, nil
}

// newUUID returns a random UUID (RFC 9562 version 4).
func newUUID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
