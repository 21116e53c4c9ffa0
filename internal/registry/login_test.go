package registry_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/registry/registrytest"
	"github.com/signgate/signgate/internal/retry"
)

type identity struct{}

func (identity) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: "<token>", IdentityToken: "s3cr3t-identity"}), nil
}

// TestLoginStays: a login, whose body has the secret, does not follow a
// redirect to another host.
func TestLoginStays(t *testing.T) {
	server := registrytest.Start(t, registrytest.Token)
	elsewhere := registrytest.Start(t, registrytest.Referrers)
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			return false
		}
		http.Redirect(w, r, "http://"+strings.Replace(elsewhere.Host, "127.0.0.1", "localhost", 1)+"/x", http.StatusTemporaryRedirect)
		return true
	})
	_, _, err := registry.New(registry.Options{Keychain: identity{}}).Manifest(t.Context(), server.Host+"/app", "latest")
	if fault.CodeOf(err) != "registry_realm" || len(elsewhere.Requests()) != 0 {
		t.Errorf("%v, and the other host was asked", err)
	}
}

// TestTokenAnswer: what a token server says instead of a token is not
// repeated.
func TestTokenAnswer(t *testing.T) {
	server := registrytest.Start(t, registrytest.Token)
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, "{\"refresh_token\":\"s3cr3t-refresh\",\n\"x\":\"::error::boo\"}")
		}
		return r.URL.Path == "/token"
	})
	_, _, err := newClient(3).Manifest(t.Context(), server.Host+"/app", "latest")
	if fault.CodeOf(err) != "registry_error" || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "::") {
		t.Error(err)
	}
}

// TestSharedLogin: one fault of the login is repeated once, for all who wait
// for it.
func TestSharedLogin(t *testing.T) {
	for _, path := range []string{"/v2/", "/token"} {
		server := registrytest.Start(t, registrytest.Token)
		s := pushed(t, newClient(1), server, "app:1")
		var asked atomic.Int32
		server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			fails := r.URL.Path == path && asked.Add(1) == 1
			if fails {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return fails
		})
		c := registry.New(registry.Options{Keychain: keychain{}, Retry: retry.Policy{Attempts: 2, Base: time.Millisecond, Budget: retry.NewBudget(1)}})
		errs := make(chan error)
		for range 40 {
			go func() {
				_, _, err := c.Manifest(t.Context(), s.Repository, s.Digest)
				errs <- err
			}()
		}
		for range 40 {
			if err := <-errs; err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestAssumed: that a host has no referrers API is known from one image; before
// another one is called unsigned it is asked about that one as well.
func TestAssumed(t *testing.T) {
	server := registrytest.Start(t, registrytest.Referrers)
	one, two := pushed(t, newClient(1), server, "one:1"), pushed(t, newClient(1), server, "two:1")
	if _, err := attach(t.Context(), newClient(1), two, attachments("x")[1:]); err != nil {
		t.Fatal(err)
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool { // a repository behind a proxy, say
		no := strings.HasPrefix(r.URL.Path, "/v2/one/referrers/")
		if no {
			w.WriteHeader(http.StatusNotFound)
		}
		return no
	})
	c := newClient(1)
	if got := list(t, c, one); len(got) != 0 {
		t.Errorf("one: %q", got)
	}
	if got := list(t, c, two); len(got) != 1 {
		t.Errorf("two: %q", got)
	}
}

// TestJunkCopy: a copy of a good entry that says it is something else hides
// nothing.
func TestJunkCopy(t *testing.T) {
	x := newTag(t)
	x.sign("good")
	body := x.body()
	begin := strings.Index(body, `"layers":[`) + len(`"layers":[`)
	layer := body[begin : strings.Index(body[begin:], `]`)+begin]
	x.set(body[:begin] + layer + "," + strings.Replace(layer, "application/vnd.dev.cosign.simplesigning.v1+json", "application/x", 1) + body[begin+len(layer):])
	if got := list(t, newClient(1), x.s); len(got) != 2 {
		t.Errorf("listed %q, want the good one and the other", got)
	}
}
