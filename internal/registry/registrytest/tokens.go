package registrytest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// tokens asks for a bearer token on every request to a registry, as the
// distribution project's token authentication does: a challenge with realm,
// service and scope, Basic credentials at the realm, a token that is good for
// the scopes it was asked for.
type tokens struct {
	next http.Handler

	mu     sync.Mutex
	scopes map[string][]string // by token
}

func newTokens(next http.Handler) http.Handler {
	return &tokens{next: next, scopes: map[string][]string{}}
}

func (t *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		t.issue(w, r)
		return
	}
	want := scopesOf(r)
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if t.known(token) && !slices.ContainsFunc(want, func(scope string) bool { return !t.allows(token, scope) }) {
		t.next.ServeHTTP(w, r)
		return
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	challenge := `Bearer realm="` + scheme + `://` + r.Host + `/token",service="test"`
	if len(want) > 0 {
		challenge += `,scope="` + strings.Join(want, " ") + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
}

func (t *tokens) issue(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != User || password != Password {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	token := rand.Text()
	t.mu.Lock()
	t.scopes[token] = strings.Fields(strings.Join(r.URL.Query()["scope"], " "))
	t.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

// known reports whether token was issued, which is all that the API root asks
// for.
func (t *tokens) known(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.scopes[token]
	return ok
}

// allows reports whether token was issued for the repository and action of
// want.
func (t *tokens) allows(token, want string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	repo, action := cutLast(want)
	return slices.ContainsFunc(t.scopes[token], func(s string) bool {
		r, actions := cutLast(s)
		return r == repo && slices.Contains(strings.Split(actions, ","), action)
	})
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, ':')
	return s[:max(i, 0)], s[i+1:]
}

// scopesOf returns the scopes that a request needs. A mount reads from another
// repository, too.
func scopesOf(r *http.Request) []string {
	action := "push"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		action = "pull"
	}
	var scopes []string
	for _, kind := range []string{"manifests", "blobs", "referrers"} {
		if repo, _, ok := cutPath(r, kind); ok {
			scopes = append(scopes, "repository:"+repo+":"+action)
		}
	}
	if from := r.URL.Query().Get("from"); from != "" && len(scopes) > 0 {
		scopes = append(scopes, "repository:"+from+":pull")
	}
	return scopes
}
