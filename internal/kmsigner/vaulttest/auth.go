package vaulttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Rule is a stanza of a policy: path "transit/sign/release/*" {
// capabilities = ["update"] }. A path may end with *.
type Rule struct {
	Path         string
	Capabilities []string
}

type token struct {
	namespace, name string
	policies        []string
	rules           []Rule
	root            bool
	expires         time.Time // zero for never
}

// AppRole is a role of the auth method approle.
type AppRole struct {
	RoleID, SecretID string
	Rules            []Rule
}

// CreateToken makes a token with a policy in a namespace.
func (s *Server) CreateToken(namespace, id string, rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[id] = &token{namespace: namespace, name: "token", policies: []string{"default", "signer"}, rules: rules}
}

// RevokeToken removes a token.
func (s *Server) RevokeToken(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, id)
}

// Tokens returns the valid tokens but the root token.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for id := range s.tokens {
		if id != s.opts.RootToken {
			out = append(out, id)
		}
	}
	return out
}

// AddAppRole adds a role at a mount of approle; both may be new.
func (s *Server) AddAppRole(namespace, mount string, role AppRole) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{namespace, mount}
	if s.appRoles[at] == nil {
		s.appRoles[at] = map[string]*AppRole{}
	}
	s.appRoles[at][role.RoleID] = &role
}

// AddJWTRole adds a role at a mount of jwt; both may be new.
func (s *Server) AddJWTRole(namespace, mount, name string, role JWTRole) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{namespace, mount}
	if s.jwtRoles[at] == nil {
		s.jwtRoles[at] = map[string]*JWTRole{}
	}
	s.jwtRoles[at][name] = &role
}

func denied() *apiError {
	return &apiError{http.StatusForbidden, []string{"permission denied"}}
}

// authorize answers "permission denied" to an unknown token and to one whose
// policy does not allow the path; the caller is not told which.
func (s *Server) authorize(c call, path string) *apiError {
	t := s.tokens[c.token]
	if t == nil || !t.expires.IsZero() && s.opts.Now().After(t.expires) {
		delete(s.tokens, c.token)
		return denied()
	}
	if t.namespace != "" && c.namespace != t.namespace && !strings.HasPrefix(c.namespace, t.namespace+"/") {
		return denied()
	}
	need := "update"
	if c.operation == "read" || c.operation == "lookup-self" {
		need = "read"
	}
	// The policy "default" allows both of these.
	if t.root || c.operation == "lookup-self" || c.operation == "revoke-self" || t.allows(path, need) {
		return nil
	}
	return denied()
}

func (t *token) allows(path, capability string) bool {
	return slices.ContainsFunc(t.rules, func(r Rule) bool {
		prefix, glob := strings.CutSuffix(r.Path, "*")
		matches := path == r.Path || glob && strings.HasPrefix(path, prefix)
		return matches && slices.Contains(r.Capabilities, capability)
	})
}

func (t *token) describe() map[string]any {
	ttl := 0
	if !t.expires.IsZero() {
		ttl = int(time.Until(t.expires).Seconds())
	}
	return map[string]any{"display_name": t.name, "policies": t.policies, "ttl": ttl, "renewable": false, "type": "service", "path": "auth/" + t.name}
}

// login answers POST auth/:mount/login of approle and jwt.
func (s *Server) login(c call) (map[string]any, *apiError) {
	var in struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
		Role     string `json:"role"`
		JWT      string `json:"jwt"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, refuse("failed to parse JSON input: %v", err)
	}
	switch {
	case s.appRoles[c.place()] != nil:
		role := s.appRoles[c.place()][in.RoleID]
		if role == nil || role.SecretID != in.SecretID {
			return nil, refuse("invalid role or secret ID")
		}
		return s.newToken(c, "approle", role.Rules), nil
	case s.jwtRoles[c.place()] != nil:
		role := s.jwtRoles[c.place()][in.Role]
		if role == nil {
			return nil, refuse("role %q could not be found", in.Role)
		}
		if failure := role.check(in.JWT, s.opts.Now()); failure != nil {
			return nil, failure
		}
		return s.newToken(c, "jwt-"+in.Role, role.Rules), nil
	}
	return nil, denied() // an unauthenticated request to no mount
}

func (s *Server) newToken(c call, name string, rules []Rule) map[string]any {
	id := "hvs." + strings.ReplaceAll(newUUID(), "-", "")
	policies := []string{"default", "signer"}
	s.tokens[id] = &token{namespace: c.namespace, name: name, policies: policies, rules: rules, expires: s.opts.Now().Add(20 * time.Minute)}
	return map[string]any{"client_token": id, "accessor": newUUID(), "policies": policies, "token_policies": policies,
		"lease_duration": 1200, "renewable": true, "token_type": "service", "orphan": true}
}
