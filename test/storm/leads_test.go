package storm

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// soon is how long a run may take that is led astray: it must not wait for
// hosts that it does not speak to.
const soon = 15 * time.Second

// TestLeads: no answer of a registry takes credentials to another host, and
// none makes a run pass.
func TestLeads(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run("Location at "+host, func(t *testing.T) { location(t, host) })
		t.Run("Link at "+host, func(t *testing.T) { link(t, host) })
	}
}

// location: an upload that goes on at another host. The stranger takes it and
// keeps it, so the blob is not in the registry, which says so or does not.
func location(t *testing.T, host string) {
	for _, honest := range []bool{true, false} {
		for _, mode := range []registrytest.Mode{registrytest.Token, registrytest.Fallback} {
			x := newTarget(t, mode)
			x.RequireBlobs(honest)
			s := newStranger(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
			x.at("POST .*/blobs/uploads/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", s.url(host, "/upload"))
				w.WriteHeader(http.StatusAccepted)
			})
			what := fmt.Sprintf("%s, honest %v", mode, honest)
			measured(t, x.signArgs(both, "--retries", "1")...).exits(t, what, 1, 3).named(t, what)
			s.check(t, what)
		}
	}
}

// link: a next page at another host, alone and beside a good signature.
func link(t *testing.T, host string) {
	for _, good := range []string{"", simplesigning} {
		x := newTarget(t, registrytest.Token)
		if good != "" {
			x.signed(t, good)
		}
		s := newStranger(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ociIndex)
			_, _ = w.Write(index(nil))
		})
		x.at("GET .*/referrers/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+s.url(host, r.URL.Path)+`>; rel="next"`)
			x.Serve(w, r)
		})
		e := measured(t, x.verifyDigestArgs(both, "--retries", "1")...)
		if s.check(t, "Link"); good == "" {
			e.exits(t, "alone", 1, 3).named(t, "alone")
		} else {
			e.exits(t, "beside a good signature", 0)
		}
	}
}

// realm is where a registry sends logins.
type realm string

func (r realm) String() string { return strings.ReplaceAll(string(r), "/", "_") }

// TestRealms: a login goes to no address in the clear, to none of another kind
// and to none inside a network.
func TestRealms(t *testing.T) {
	each(t, wide, []realm{
		"http://192.0.2.1/token", "http://token.invalid/token", "ftp://127.0.0.1/token", "file:///etc/passwd",
		"https://169.254.169.254/token", "//192.0.2.1/token", "token", "",
	}, func(t *testing.T, r realm) {
		x := newTarget(t, registrytest.Token)
		x.at(".*", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+string(r)+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
		for _, args := range [][]string{x.verifyArgs(both), x.signArgs(both)} {
			e := measured(t, args...).exits(t, string(r), 3)
			e.named(t, string(r))
			known := slices.ContainsFunc(e.report.codes(), func(c string) bool { return c == "registry_realm" || c == "registry_insecure" })
			if !known && r != "" || e.took > soon {
				t.Errorf("realm %q: %q after %s\n%s", r, e.report.codes(), e.took, e)
			}
		}
	})
}

// TestClearText: a redirect to plain HTTP outside this machine is not followed.
func TestClearText(t *testing.T) {
	for _, where := range []string{"GET .*/manifests/", "GET .*/blobs/", "GET .*/referrers/", "GET /v2/$", "GET /token"} {
		x := newTarget(t, registrytest.Token)
		x.signed(t, bundle)
		x.at(where, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1"+r.URL.Path, http.StatusTemporaryRedirect)
		})
		e := measured(t, x.verifyArgs(bundle)...).exits(t, where, 3)
		if e.named(t, where); e.took > soon {
			t.Errorf("%s: %s\n%s", where, e.took, e)
		}
	}
}
