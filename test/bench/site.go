package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// where is the conditions under which a line is measured.
type where struct {
	mode     registrytest.Mode
	registry time.Duration // the delay of each request, that of the token included
	kms      time.Duration // the delay of each call
	twoPart  bool          // the registry takes no blob with a single POST
}

// site is a registry and a key service, and the way to them. They are slow
// only while something is measured.
type site struct {
	where
	scope
	registry *registrytest.Server
	kms      *kmstest.Server
	dir      string
	env      []string // of the programs
	key      key      // that signs where one is enough

	slow  atomic.Bool
	log   journal
	repos int // made so far
	calls int // of the key service, counted so far
}

// newSite starts both services. The caller closes the site, also after an
// error.
func newSite(dir string, w where) (*site, error) {
	s := &site{where: w}
	var err error
	if s.dir, err = os.MkdirTemp(dir, "site-"); err != nil {
		return s, err
	}
	if err := attempt(func() { s.registry = registrytest.Start(&s.scope, w.mode) }); err != nil {
		return s, err
	}
	s.registry.Intercept(s.intercept)
	if s.kms, err = kmstest.New(kmstest.Options{}); err != nil {
		return s, err
	}
	s.Cleanup(func() { s.kms.Close() })
	if err := s.login(); err != nil {
		return s, err
	}
	s.key, err = s.newKey()
	return s, err
}

// intercept makes the registry slow, and lets it ignore what comes with a POST
// that is to upload a whole blob.
func (s *site) intercept(_ http.ResponseWriter, r *http.Request) bool {
	s.log.add(event{registry: true, write: r.Method != http.MethodGet && r.Method != http.MethodHead, text: r.Method + " " + r.URL.Path})
	if s.slow.Load() {
		time.Sleep(s.where.registry)
	}
	if s.twoPart && r.Method == http.MethodPost && r.URL.Query().Has("digest") {
		_, _ = io.Copy(io.Discard, r.Body) // a client that went away is its own problem
		r.URL.RawQuery, r.Body, r.ContentLength = "", http.NoBody, 0
	}
	return false
}

// login writes the credentials for the registry and starts the slow way to the
// key service.
func (s *site) login() error {
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.log.add(event{text: "KMS " + strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")})
		if s.slow.Load() {
			time.Sleep(s.where.kms)
		}
		s.kms.ServeHTTP(w, r)
	}))
	s.Cleanup(gate.Close)
	for name, value := range s.kms.Env() {
		if name == "AWS_ENDPOINT_URL_KMS" {
			value = gate.URL
		}
		s.env = append(s.env, name+"="+value)
	}
	s.env = append(s.env, "DOCKER_CONFIG="+s.dir)
	config := "{}"
	if s.mode == registrytest.Token {
		auth := base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password))
		config = fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, s.registry.Host, auth)
	}
	return os.WriteFile(filepath.Join(s.dir, "config.json"), []byte(config), 0o600)
}
