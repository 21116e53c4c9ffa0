package storm

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
)

// fault is one way for a registry to fail. It answers a request in place of
// serve, which is the registry itself.
type fault struct {
	name string
	f    func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)
}

func (f fault) String() string { return f.name }

// status answers with a status and nothing else.
func status(code int, header ...string) fault {
	name := fmt.Sprint(code)
	for _, h := range header {
		name += "-" + h
	}
	return fault{name, func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(code)
	}}
}

// transient are the faults that pass.
func transient() []fault {
	return []fault{
		status(429), status(429, "Retry-After", "1"), status(500), status(502), status(503),
		{"reset before", func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) { reset(w) }},
		{"reset after", func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
			serve(httptest.NewRecorder(), r)
			reset(w)
		}},
		{"truncated", truncate},
	}
}

// permanent are the statuses that do not pass.
func permanent() []fault {
	var out []fault
	for _, code := range []int{400, 401, 403, 405, 418, 507} {
		out = append(out, status(code))
	}
	return out
}

// reset ends the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close with RST
	}
	_ = conn.Close()
}

// truncate sends ten bytes less than it announces. An answer to HEAD has no
// body that could be cut.
func truncate(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	rec := httptest.NewRecorder()
	serve(rec, r)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(rec.Code)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()+10))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// injector breaks the nth request that a registry sees, or, where the fault
// stays, that and all that follow to the same place.
type injector struct {
	x     *target
	n     int
	fault fault
	stays bool

	mu    sync.Mutex
	seen  int
	place string // of the nth
}

func (i *injector) install() { i.x.Intercept(i.intercept) }

func (i *injector) intercept(w http.ResponseWriter, r *http.Request) bool {
	if !i.hits(place(r.Method + " " + r.URL.Path)) {
		return false
	}
	i.fault.f(w, r, i.x.Serve)
	return true
}

func (i *injector) hits(place string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	if i.seen == i.n {
		i.place = place
		return true
	}
	return i.stays && i.place == place
}

// hit returns the place of the request that was broken, and "" when the run
// made fewer.
func (i *injector) hit() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.place
}

var (
	uploadID = regexp.MustCompile(`(/blobs/uploads/).+`)
	longHex  = regexp.MustCompile(`(sha256.[0-9a-f]{6})[0-9a-f]{58}`)
)

// place is a request without what differs from attempt to attempt, and short.
func place(request string) string {
	return longHex.ReplaceAllString(uploadID.ReplaceAllString(request, "${1}…"), "${1}…")
}
