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
	want := scopeOf(r)
	if t.allows(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), want) {
		t.next.ServeHTTP(w, r)
		return
	}
	challenge := `Bearer realm="http://` + r.Host + `/token",service="test"`
	if want != "" {
		challenge += `,scope="` + want + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
}

func (t *tokens) issue(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != User || password != Password {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	token := rand.Text()
	t.mu.Lock()
	t.scopes[token] = append([]string{""}, r.URL.Query()["scope"]...)
	t.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

// allows reports whether token was issued for the repository and action of
// want. An empty want is the API root.
func (t *tokens) allows(token, want string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	repo, action, _ := cutLast(want)
	return slices.ContainsFunc(t.scopes[token], func(s string) bool {
		r, actions, _ := cutLast(s)
		return r == repo && (action == "" || slices.Contains(strings.Split(actions, ","), action))
	})
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// scopeOf returns the scope that a request needs.
func scopeOf(r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/referrers/"} {
		if i := strings.LastIndex(path, part); i > 0 {
			action := "push"
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				action = "pull"
			}
			return "repository:" + path[:i] + ":" + action
		}
	}
	return ""
}
